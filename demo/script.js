// The demo page: sends what its forms hold to the API, and shows the answers and the errors of its contract.
"use strict";

const TIMEOUT = 35_000; // milliseconds; API Gateway gives up after 30 seconds
const RETRY_SECONDS = 1; // before another try, where the answer does not say how long

const TITLE_LENGTH = 120; // characters of a sample that its button shows

/** Make an element; strings among its children become text, never markup. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Give the element a length of `share`, 0 to 1, in the style sheet's terms. */
function sized(made, share) {
  made.style.setProperty("--share", share);
  return made;
}

const percent = (share) => (share > 0 && share < 0.0005 ? "<0.1" : (100 * share).toFixed(1)) + "%";

function duration(seconds) {
  const ms = 1000 * seconds;
  return ms >= 10_000 ? `${seconds.toFixed(1)} s` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

// Where the API is

/** Return the API's base URL in `text`, without the name of a model or a slash at its end; throw if it is not one. */
function parseApi(text) {
  let url;
  try {
    url = new URL(text.trim());
  } catch {
    throw new Error("This is not a URL: it must start with https:// or http://.");
  }
  if (!["http:", "https:"].includes(url.protocol)) throw new Error("The URL must start with https:// or http://.");
  if (url.username || url.password) throw new Error("The URL can't have a user name in it.");
  return url.origin + url.pathname.replace(/\/(sm_cnn|kim_cnn)\/*$/, "").replace(/\/+$/, "");
}

const setting = document.getElementById("setting");
const apiField = document.getElementById("api");
const apiNote = document.getElementById("api-note");
const tokenField = document.getElementById("token");
const published = document.querySelector('meta[name="api"]').content; // the API it was published with, or ""
let api = "";

/** Use the API at the URL in the field; say so, or what is wrong with the URL. */
function useApi() {
  let wrong = "";
  api = "";
  try {
    if (apiField.value.trim()) apiField.value = api = parseApi(apiField.value);
  } catch (error) {
    wrong = error.message;
  }
  const missing = "Paste a URL that utils/deploy.py or make serve printed.";
  apiNote.textContent = wrong || (api ? `Requests go to ${new URL(api).host}.` : missing);
  apiNote.classList.toggle("wrong", Boolean(wrong));
  apiField.setAttribute("aria-invalid", Boolean(wrong));
}

/** Use the API at the URL in the field, and show its models. A token is for one API: another does not get it. */
function changeApi() {
  const before = api;
  useApi();
  if (api === before) return;
  tokenField.value = "";
  if (api) introduceModels();
}

/** Return the headers that carry the token, none without one. */
function authorization() {
  const token = tokenField.value.trim();
  return token ? { Authorization: `Bearer ${token}` } : {};
}

setting.addEventListener("submit", (event) => {
  event.preventDefault();
  changeApi();
  const address = new URL(location.href);
  if (api) address.searchParams.set("api", api);
  else address.searchParams.delete("api");
  try {
    history.replaceState(null, "", address); // so that a reload, or the address sent to someone, uses the same API
  } catch {
    // a page opened from disk may not change its address in every browser
  }
});
apiField.addEventListener("change", changeApi);
tokenField.addEventListener("change", () => {
  if (api) introduceModels(); // which may need the token, too
});

// A published page asks its own API, whatever its address says: whoever made the address would read what is typed.
apiField.value = published || (new URLSearchParams(location.search).get("api") ?? "");
apiField.readOnly = Boolean(published);
setting.querySelector("button").hidden = Boolean(published);
useApi();

// A request and its errors

/** An error to show: what happened, what to do about it, and whether trying again may help. */
class Problem extends Error {
  constructor(what, advice, again = false) {
    super(what);
    this.advice = advice;
    this.again = again;
  }
}

const CHECK_URL = "Check the API URL at the top of the page.";

/** Return the problem for an HTTP status other than 200; `said` is the error that the API named, or "". */
function refusal(status, said, retryAfter, url) {
  const wait = `Wait ${retryAfter === 1 ? "a second" : `${retryAfter} seconds`}, then try again.`;
  const of = (what, advice, again) => new Problem(`${status}: ${said || what}`, advice, again);
  switch (status) {
    case 400:
      return of("the API can't read the request", "Change the text, then send it again.");
    case 401:
    case 403:
      return of("the API does not let this request in", "It may ask for a token: the field is at the top of the page.");
    case 404:
      return of(`nothing answers at ${url}`, `${CHECK_URL} If it is right, this model is not deployed there.`);
    case 405:
      return of("the API does not take POST there", CHECK_URL);
    case 413:
      return of("the request is too large", "Shorten the text or send fewer candidates, then send it again.");
    case 429:
      return of("too many requests at once", wait, true);
    case 503:
      return of("the service is busy", wait, true);
  }
  if (status >= 500) {
    return of("the service failed", "Try again. If it keeps failing, the log of the function says why.", true);
  }
  return of("the API does not answer this request", CHECK_URL);
}

/** Post `fields` as JSON; return the answer and the seconds it took, or throw a Problem. */
async function post(url, fields, controller) {
  const timer = setTimeout(() => controller.abort(), TIMEOUT);
  const started = performance.now();
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorization() },
      body: JSON.stringify(fields),
      credentials: "omit",
      signal: controller.signal,
    });
    const text = await response.text();
    const seconds = (performance.now() - started) / 1000;
    let answer = null;
    try {
      answer = JSON.parse(text);
    } catch {
      // not JSON: a page of a gateway or of another server
    }
    if (response.status !== 200) {
      const said = typeof answer?.error === "string" ? answer.error : "";
      throw refusal(response.status, said, Number(response.headers.get("Retry-After")) || RETRY_SECONDS, url);
    }
    return { answer, seconds };
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw unreachable(url, controller.signal.aborted);
  } finally {
    clearTimeout(timer);
  }
}

/** Return the problem for a request without an answer, or without one a page may read: browsers don't say which. */
function unreachable(url, timedOut) {
  const { host, protocol } = new URL(url);
  if (timedOut) return new Problem(`No answer from ${host} in ${TIMEOUT / 1000} seconds.`, "Try again.", true);
  if (!navigator.onLine) return new Problem("You are offline.", "Connect to the network, then try again.", true);
  const advice =
    location.protocol === "https:" && protocol === "http:"
      ? "A page on https:// may not call an API on http://. "
      : "Check that it is running, that this model is deployed there, and that it lets this page call it (CORS). ";
  return new Problem(`No answer from ${host}.`, advice + CHECK_URL, true);
}

const isNumbers = (value, length) =>
  Array.isArray(value) && value.length === length && value.every((item) => Number.isFinite(item));
const isTimed = (answer) =>
  isNumbers([answer.t_overall, answer.t_sent_embedding, answer.t_load_model, answer.t_inference], 4) &&
  Array.isArray(answer.unknown_words);

// Unknown words, found again in the text as it was typed

// Where the service's tokenizer (inference/tokenizer.py) breaks text wherever it stands.
const BREAK =
  /(\s+|``|''|--+|\.{2,}|[;?!()[\]{}<>—$£€¥%#@"“”„«»…]|[,:](?!\d)|(?<!\d)[,:]|(?<![\p{L}\p{N}_])&|&(?![\p{L}\p{N}_]))/u;
// What it takes off a word: a quote before it, a clitic, a closing quote, the last period.
const WORD = /^(['‘’`]?)(.*?)(n['’]t|['’](?:s|m|d|ll|re|ve))?(['’]?)(\.?)$/isu;

/** Return `text` as nodes to append: strings, and a <mark> around each of the `unknown` words (a set, lower case). */
function marked(text, unknown) {
  const isUnknown = (part) => unknown.has(part.toLowerCase().replace(/[‘’]/g, "'"));
  const mark = (part) => (isUnknown(part) ? element("mark", { title: "no word vector" }, part) : part);
  return text
    .split(BREAK)
    .flatMap((piece) => (isUnknown(piece) ? [piece] : (WORD.exec(piece)?.slice(1) ?? [piece])))
    .filter(Boolean)
    .map(mark);
}

/** Return a line that names the unknown words, or nothing when there are none. */
function unknownLine(words) {
  if (!words.length) return [];
  const line = `No vector for ${words.join(", ")}: the model read zeros instead.`;
  return [element("p", { class: "unknown" }, line)];
}

/** Return a line that says so when the model did not read all of a text: `truncated`, as the answer has it. */
function cutLine(truncated) {
  if (![truncated].flat().includes(true)) return [];
  return [element("p", { class: "unknown" }, "A text is longer than the model reads: its end was left out.")];
}

// The last part of every answer

/** Return elements that show how long the call took, by part. */
function callTimes(answer, seconds) {
  const parts = [
    ["lookup", answer.t_sent_embedding],
    ["model", answer.t_inference],
    ["network", Math.max(0, seconds - (answer.t_overall - answer.t_load_model))],
  ];
  const cold = answer.t_load_model > 0;
  const start = cold ? `cold start, model loaded in ${duration(answer.t_load_model)}` : "warm";
  const bar = parts.map(([name, part]) => sized(element("span", { class: name }), part / seconds));
  const list = parts.map(([name, part]) =>
    element("div", { class: name }, element("dt", {}, name), element("dd", {}, duration(part))),
  );
  return [
    element("p", { class: "took" }, element("span", {}, "Took ", element("strong", {}, duration(seconds))), start),
    element("div", { class: "split", "aria-hidden": "true" }, ...bar),
    element("dl", { class: "parts" }, ...list),
  ];
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Return the request as a command for a shell, with a button that copies it. */
function curlCommand(url, fields) {
  const token = tokenField.value ? ` -H "Authorization: Bearer $TOKEN"` : ""; // not the token itself, as it is copied
  const header = "-H 'Content-Type: application/json'" + token;
  const command = `curl ${header} --data ${quoted(JSON.stringify(fields))} ${quoted(url)}`;
  const code = element("pre", {}, command);
  const details = element("details", {}, element("summary", {}, "As a curl command"), code);
  const button = element("button", { type: "button" }, "Copy curl");
  const said = element("span", { role: "status", class: "visually-hidden" });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = said.textContent = "Copied";
    } catch {
      // not allowed on a page without https://: leave it selected
      details.open = true;
      getSelection().selectAllChildren(code);
      button.textContent = said.textContent = "Selected, now copy it";
    }
    setTimeout(() => (button.textContent = "Copy curl"), 2500);
  });
  return element("div", { class: "curl" }, details, button, said);
}

// The two models: the fields to send, the check of an answer, and how to show it

const KIM_CNN = {
  name: "kim_cnn",

  sample: ({ input }) => ({ title: input, values: { input } }),

  missing: { input: "Type a text first." },

  fields: ({ input }) => ({ input: input.trim() }),

  isAnswer: ({ label, probabilities }) =>
    Object.hasOwn(Object(probabilities), label) &&
    isNumbers(Object.values(probabilities), Object.keys(probabilities).length),

  show({ input }, { label, probabilities, truncated, unknown_words }) {
    const rows = Object.entries(probabilities).map(([name, share]) =>
      element(
        "div",
        name === label ? { class: "best" } : {},
        element("dt", {}, name),
        element("dd", { "aria-hidden": "true" }, sized(element("span", { class: "bar" }), share)),
        element("dd", { class: "percent" }, percent(share)),
      ),
    );
    const nodes = [
      element("p", { class: "text" }, ...marked(input, new Set(unknown_words))),
      ...cutLine(truncated),
      ...unknownLine(unknown_words),
      element("p", { class: "label" }, label),
      element("dl", { class: "chart" }, ...rows),
    ];
    return { nodes, summary: `${label}, ${percent(probabilities[label])}` };
  },
};

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

const SM_CNN = {
  name: "sm_cnn",

  sample: ({ sent1, sent2 }) => ({ title: sent1, values: { sent1, sent2: [sent2].flat().join("\n") } }),

  missing: { sent1: "Type a question first.", sent2: "Type at least one candidate first, one per line." },

  fields: ({ sent1, sent2 }) => ({ sent1: sent1.trim(), sent2: lines(sent2) }),

  isAnswer: (answer, { sent2 }) =>
    isNumbers(answer.probability, sent2.length) &&
    isNumbers(answer.ranking, sent2.length) &&
    new Set(answer.ranking).size === sent2.length &&
    answer.ranking.every((index) => index in sent2),

  show({ sent1, sent2 }, { probability, ranking, truncated, unknown_words }, outcome) {
    const unknown = new Set(unknown_words);
    const items = ranking.map((index, place) =>
      element(
        "li",
        place ? {} : { class: "best" },
        element("span", { class: "rank" }, `${place + 1}`),
        element("span", { class: "text" }, ...marked(sent2[index], unknown)),
        element("span", { class: "percent" }, percent(probability[index])),
        sized(element("span", { class: "bar", "aria-hidden": "true" }), probability[index]),
      ),
    );
    // They start where the same candidates stood before, or else in the order they were sent.
    const old = [...outcome.querySelectorAll(".ranking .text")].map((text) => text.textContent);
    const before = ranking.map((index) => old.indexOf(sent2[index]));
    const same = old.length === sent2.length && !before.includes(-1);
    const start = items.map((item, place) => [same ? before[place] : ranking[place], item]);
    const list = element("ol", { class: "ranking", role: "list" });
    list.append(...start.sort(([a], [b]) => a - b).map(([, item]) => item));
    const nodes = [
      element("p", { class: "text question" }, ...marked(sent1, unknown)),
      ...cutLine(truncated),
      ...unknownLine(unknown_words),
      list,
    ];
    const best = `Best of ${sent2.length}: ${sent2[ranking[0]]}, ${percent(probability[ranking[0]])}`;
    return { nodes, summary: best, settle: () => reorder(list, items) };
  },
};

/** Put the items of a list that is on the page in order; each moves from where it stood to where it belongs. */
function reorder(list, items) {
  const tops = items.map((item) => item.getBoundingClientRect().top);
  list.append(...items);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  items.forEach((item, place) => {
    const moved = tops[place] - item.getBoundingClientRect().top;
    if (!moved) return;
    const timing = { delay: 250, duration: 500, easing: "cubic-bezier(0.3, 0.8, 0.3, 1)", fill: "backwards" };
    item.animate([{ transform: `translateY(${moved}px)` }, { transform: "none" }], timing);
  });
}

// A model's section of the page

function panel(model) {
  const section = document.getElementById(model.name);
  const form = section.querySelector(".ask form");
  const outcome = section.querySelector(".outcome");
  const status = form.querySelector('[role="status"]');
  const notes = Object.keys(model.missing).map((name) => [name, document.getElementById(`${name}-note`).textContent]);
  const alert = element("div", { role: "alert" });
  const shown = element("div", {}, ...outcome.children);
  outcome.append(alert, shown);
  let controller = null; // of the request under way
  let turn = 0; // counts requests: only the answer to the last one is shown

  /** Return the fields to send, or null after saying which is missing. */
  function read() {
    if (!api) {
      complain(new Problem("There is no API URL.", `${apiNote.textContent} The field is at the top of the page.`));
      apiField.focus();
      return null;
    }
    const values = Object.fromEntries(new FormData(form));
    const empty = Object.keys(model.missing).find((name) => !values[name].trim());
    for (const [name, note] of notes) {
      const line = document.getElementById(`${name}-note`);
      line.textContent = name === empty ? model.missing[name] : note;
      line.classList.toggle("wrong", name === empty);
      form.elements[name].setAttribute("aria-invalid", name === empty);
    }
    if (!empty) return model.fields(values);
    form.elements[empty].focus();
    return null;
  }

  /** Show that an answer is on its way, or announce it: `said`, for screen readers. */
  function wait(waiting, said) {
    outcome.setAttribute("aria-busy", waiting);
    status.classList.toggle("visually-hidden", !waiting);
    status.textContent = said;
  }

  /** Bring the outcome into view where it stands under the form, as on a phone. */
  function reveal() {
    const { top, bottom } = outcome.getBoundingClientRect();
    if (top < 0.6 * innerHeight && bottom > 0.3 * innerHeight) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    outcome.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  }

  function complain(problem) {
    const box = element("div", { class: "problem" }, element("strong", {}, problem.message), problem.advice);
    if (problem.again) {
      const button = element("button", { type: "button" }, "Try again");
      button.addEventListener("click", () => {
        form.querySelector(".primary").focus({ preventScroll: true }); // this button is about to go
        send();
      });
      box.append(element("br", {}), button);
    }
    const old = shown.querySelector(".call") ? [element("p", { class: "stale" }, "The previous answer:")] : [];
    wait(false, "");
    alert.replaceChildren(box, ...old);
    shown.hidden = !old.length;
    reveal();
  }

  async function send() {
    const mine = ++turn;
    controller?.abort();
    wait(false, "");
    const fields = read();
    if (!fields) return;
    const url = `${api}/${model.name}`;
    controller = new AbortController();
    wait(true, "Waiting for the answer…");
    try {
      const { answer, seconds } = await post(url, fields, controller);
      if (mine !== turn) return;
      if (!answer || !isTimed(answer) || !model.isAnswer(answer, fields)) {
        throw new Problem("The answer did not come from an API for this page.", CHECK_URL);
      }
      const { nodes, summary, settle } = model.show(fields, answer, outcome);
      const call = element("div", { class: "call" }, ...callTimes(answer, seconds), curlCommand(url, fields));
      alert.replaceChildren();
      shown.replaceChildren(...nodes, call);
      shown.hidden = false;
      settle?.();
      reveal();
      wait(false, `${summary}. Took ${duration(seconds)}.`);
    } catch (error) {
      if (mine !== turn) return;
      if (!(error instanceof Problem)) throw error;
      complain(error);
    }
  }

  function fill(values) {
    for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || event.target.name === "sent1") return;
    const sends = event.target.name === "input" ? !event.shiftKey : event.ctrlKey || event.metaKey;
    if (!sends || event.target.localName !== "textarea") return;
    event.preventDefault();
    send();
  });

  /** Show what the deployed model says it is: its title, what it does, and samples to try. */
  function introduce({ title, description, samples }) {
    if (title) section.querySelector("h2").textContent = title;
    if (description) section.querySelector(".what").textContent = description;
    const known = (samples ?? []).map(model.sample);
    const buttons = known.map(({ title, values }) => {
      const short = title.length > TITLE_LENGTH ? `${title.slice(0, TITLE_LENGTH)}…` : title;
      const button = element("button", { type: "button" }, short);
      button.addEventListener("click", () => {
        fill(values);
        send();
      });
      return element("li", {}, button);
    });
    section.querySelector(".samples").replaceChildren(...buttons);
    section.querySelector("h3").hidden = !buttons.length;
    const untouched = Object.keys(model.missing).every((name) => !form.elements[name].value);
    if (untouched && known.length) fill(known[0].values);
  }

  return { name: model.name, section, introduce };
}

const PANELS = [panel(KIM_CNN), panel(SM_CNN)];

/** Ask the API what its models are; hide a model that it does not have, unless it has none. */
async function introduceModels() {
  const asked = api;
  const answers = await Promise.allSettled(
    PANELS.map(async ({ name }) => {
      const response = await fetch(`${asked}/${name}`, {
        headers: authorization(),
        credentials: "omit",
        signal: AbortSignal.timeout(TIMEOUT),
      });
      const about = await response.json();
      if (about?.model !== name) throw new Error("not this API");
      return about;
    }),
  );
  if (asked !== api) return;
  const any = answers.some(({ value }) => value);
  PANELS.forEach(({ section, introduce }, index) => {
    section.hidden = any && !answers[index].value;
    if (answers[index].value) introduce(answers[index].value);
  });
}

if (api) introduceModels();
