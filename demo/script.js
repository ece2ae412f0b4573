// The demo page: sends what its forms hold to the API, and shows the answers and the errors of its contract.
"use strict";

const TIMEOUT = 35_000; // milliseconds; API Gateway gives up after 30 seconds
const RETRY_SECONDS = 1; // before another try, where the answer does not say how long

const TITLE_LENGTH = 120; // characters of a sample that its button shows
const FOLDED_LENGTH = 420; // characters from which a text is folded in an answer
const CLASSES = 10; // that a chart shows; of more, the likeliest, and the others are folded
const LINK_LENGTH = 8000; // characters that a link holds at most

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

/** Return the base URLs in `text`, one for the API or, of function URLs, one for each model, with spaces between. */
const parseApi = (text) => text.trim().split(/\s+/).map(parseBase).join(" ");

/** Return the base URL in `text`, without the name of a model or a slash at its end; throw if it is not one. */
function parseBase(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new Error("This is not a URL: it must start with https:// or http://.");
  }
  if (!["http:", "https:"].includes(url.protocol)) throw new Error("The URL must start with https:// or http://.");
  if (url.username || url.password) throw new Error("The URL can't have a user name in it.");
  return url.origin + url.pathname.replace(/\/(sm_cnn|kim_cnn)\/*$/, "").replace(/\/+$/, "");
}

const setting = document.getElementById("setting");
const apiDetails = document.getElementById("setting-details");
const apiField = document.getElementById("api");
const apiNote = document.getElementById("api-note");
const tokenField = document.getElementById("token");
const published = document.querySelector('meta[name="api"]').content; // the API it was published with, or ""
let api = "";
const homes = {}; // the base URL of each model that has said what it is
let introduced; // resolved when all models have, or can't

/** Return the URL of a model. A function URL answers on any path, so that of several one has to know which is its own. */
async function urlOf(name) {
  if (api.includes(" ")) await introduced;
  return `${homes[name] ?? api.split(" ")[0]}/${name}`;
}

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
  apiNote.textContent = wrong || (api ? `Requests go to ${api.split(" ").map((base) => new URL(base).host).join(" and ")}.` : missing);
  if (!api) apiDetails.open = true;
  apiNote.classList.toggle("wrong", Boolean(wrong));
  apiField.setAttribute("aria-invalid", Boolean(wrong));
}

/** Use the API at the URL in the field, and show its models. A token is for one API: another does not get it. */
function changeApi() {
  const before = api;
  useApi();
  if (api === before) return;
  for (const name in homes) delete homes[name];
  tokenField.value = "";
  if (api) introduced = introduceModels();
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
  if (api) introduced = introduceModels(); // which may need the token, too
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
    this.status = 0; // of HTTP, where there is one
    this.retryAfter = 0; // seconds that the answer asks to wait
  }
}

const CHECK_URL = "Check the API URL: API settings, at the top of the page.";

/** Return the problem for an HTTP status other than 200; `said` is the error that the API named, or "". */
function refusal(status, said, retryAfter, url) {
  const wait = `Wait ${retryAfter === 1 ? "a second" : `${retryAfter} seconds`}, then try again.`;
  const of = (what, advice, again) =>
    Object.assign(new Problem(`${status}: ${said || what}`, advice, again), { status, retryAfter });
  switch (status) {
    case 400:
      return of("the API can't read the request", "Change the text, then send it again.");
    case 401:
    case 403:
      return of("the API does not let this request in", "It may ask for a token: API settings, at the top of the page.");
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

/** Post `fields` as JSON; return the answer and the seconds it took, or throw a Problem. `controller` stops it. */
async function post(url, fields, controller) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), TIMEOUT);
  const started = performance.now();
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorization() },
      body: JSON.stringify(fields),
      credentials: "omit",
      signal: AbortSignal.any([controller.signal, late.signal]),
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
    throw unreachable(url, late.signal.aborted);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Post `fields` and ask what each word did. A text that is too long for that, or an API that does not do it, is answered
 * without; what the API refuses for another reason, it refuses again.
 */
async function postExplained(url, fields, controller) {
  try {
    return await post(url, { ...fields, explain: true }, controller);
  } catch (problem) {
    if (problem.status !== 400) throw problem;
    return post(url, fields, controller);
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

// Parts of an answer

/** Return elements as they are, or folded under how they begin if `text` is long. */
function folded(text, ...nodes) {
  if (text.length <= FOLDED_LENGTH) return nodes;
  const start = `${text.slice(0, TITLE_LENGTH).trim()}…`;
  return [element("details", { class: "long" }, element("summary", {}, start), ...nodes)];
}

/**
 * Return the rows of classes, [share, element] each, as a chart. Many classes without an order of their own are sorted by
 * their share, and those after the first are folded.
 */
function chart(rows, scale) {
  const list = (items) => element("dl", { class: scale ? "chart scale" : "chart" }, ...items.map(([, row]) => row));
  if (scale || rows.length <= CLASSES) return [list(rows)];
  const sorted = rows.toSorted(([a], [b]) => b - a);
  const others = sorted.splice(CLASSES);
  const title = others.length === 1 ? "One more class" : `${others.length} more classes`;
  return [list(sorted), element("details", { class: "others" }, element("summary", {}, title), list(others))];
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

/** Return a line that says how long the call took, by part. */
function callTimes(answer, seconds) {
  const parts = [
    ["lookup", answer.t_sent_embedding],
    ["model", answer.t_inference],
    ["network", Math.max(0, seconds - (answer.t_overall - answer.t_load_model))],
  ];
  const cold = answer.t_load_model > 0;
  const start = cold ? `cold start, model loaded in ${duration(answer.t_load_model)}` : "warm";
  const list = parts.map(([name, part]) => `${name} ${duration(part)}`).join(", ");
  const line = ["Took ", element("strong", {}, duration(seconds)), `: ${list}; ${start}.`];
  return element("p", { class: "took" }, ...line);
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Return the same request as [language, code] pairs. A token is not in them, as they are copied. */
function codeOf(url, fields) {
  const body = JSON.stringify(fields);
  const token = Boolean(tokenField.value);
  const curl =
    "curl -H 'Content-Type: application/json'" +
    (token ? ` -H "Authorization: Bearer $TOKEN"` : "") +
    ` --data ${quoted(body)} ${quoted(url)}`;
  const python = `import json
${token ? "import os\n" : ""}import urllib.request

fields = ${body}
headers = {"Content-Type": "application/json"${token ? ', "Authorization": "Bearer " + os.environ["TOKEN"]' : ""}}
request = urllib.request.Request(${JSON.stringify(url)}, json.dumps(fields).encode(), headers)
with urllib.request.urlopen(request) as response:
    print(json.load(response))`;
  const javascript = `const fields = ${body};
const response = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: { "Content-Type": "application/json"${token ? ", Authorization: `Bearer ${token}`" : ""} },
  body: JSON.stringify(fields),
});
if (!response.ok) throw new Error(\`\${response.status}: \${await response.text()}\`);
console.log(await response.json());`;
  return [["curl", curl], ["Python", python], ["JavaScript", javascript]];
}

/** Return the address of this page with the input in it, after the #, which browsers don't send; "" if it is too long. */
function linkTo(model, values) {
  const address = new URL(location.href);
  address.hash = new URLSearchParams({ model, ...values });
  return address.href.length > LINK_LENGTH ? "" : address.href;
}

/** Return a row of buttons that copy the request as code, or a link to it, and the code to read. */
function toCopy(url, fields, link) {
  const said = element("span", { role: "status", class: "visually-hidden" });
  const details = element("details", {}, element("summary", {}, "Show the code"));
  const copier = (name, text, shown) => {
    const button = element("button", { type: "button", "aria-label": `Copy ${name}` }, name);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = said.textContent = "Copied";
      } catch {
        // not allowed on a page without https://: leave it selected
        details.open = true;
        getSelection().selectAllChildren(shown);
        button.textContent = said.textContent = "Selected, now copy it";
      }
      button.setAttribute("aria-label", button.textContent);
      setTimeout(() => {
        button.textContent = name;
        button.setAttribute("aria-label", `Copy ${name}`);
      }, 2500);
    });
    return button;
  };
  const buttons = [...codeOf(url, fields), ...(link ? [["link", link]] : [])].map(([name, text]) => {
    const shown = element("pre", {}, text);
    details.append(element("p", { class: "language" }, name), shown);
    return copier(name, text, shown);
  });
  const row = element("p", { class: "copy", role: "group", "aria-label": "Copy" }, "Copy ", ...buttons);
  return element("div", { class: "code" }, row, details, said);
}

// The two models: the fields to send, the check of an answer, and how to show it

/** Return whether an answer says how much each word did: one text's `words` and their `influence`. */
const isExplained = (words, influence) =>
  Array.isArray(words) && words.every((word) => typeof word === "string") && isNumbers(influence, words.length);

/** Return whether the classes go from bad to good, or from few to many: their names say so. */
function isScale(names) {
  const numbers = names.map((name) => parseFloat(name));
  if (names.length > 2 && numbers.every((number, place) => !place || number > numbers[place - 1])) return true;
  return /negative|worst|bad|lowest/i.test(names[0]) && /positive|best|good|highest/i.test(names.at(-1));
}

/** Return the colour of a class of a scale, in the style sheet's terms: one hue at each end, grey between. */
function scaleColour(place, count) {
  const from = (2 * place) / (count - 1) - 1; // -1 to 1
  const end = from < 0 ? "var(--low)" : "var(--high)";
  return `color-mix(in oklab, ${end} ${Math.round(100 * Math.abs(from))}%, var(--middle))`;
}

/** Return the index of the first name that fits, or the first of all. */
const bestOf = (names, pattern) => Math.max(0, names.findIndex((name) => pattern.test(name.trim())));

const KIM_CNN = {
  name: "kim_cnn",

  sample: ({ input }) => ({ title: input, values: { input } }),

  missing: { input: "Type a text first." },

  fields: ({ input }) => ({ input: input.trim() }),

  isAnswer: ({ label, probabilities }) =>
    Object.hasOwn(Object(probabilities), label) &&
    isNumbers(Object.values(probabilities), Object.keys(probabilities).length),

  show({ input }, { label, probabilities, truncated, unknown_words, words, influence }) {
    const names = Object.keys(probabilities);
    const scale = isScale(names);
    const rows = names.map((name, place) => {
      const row = element(
        "div",
        name === label ? { class: "best" } : {},
        element("dt", {}, name),
        element("dd", { "aria-hidden": "true" }, sized(element("span", { class: "bar" }), probabilities[name])),
        element("dd", { class: "percent" }, percent(probabilities[name])),
      );
      if (scale) row.style.setProperty("--colour", scaleColour(place, names.length));
      return [probabilities[name], row];
    });
    const verdict = element("p", { class: "label" }, label);
    if (scale) verdict.style.setProperty("--colour", scaleColour(names.indexOf(label), names.length));
    const explained = isExplained(words, influence);
    const most = explained ? Math.max(...influence.map(Math.abs)) : 0;
    const unknown = new Set(unknown_words);
    const text = explained ? shaded(input, words, influence, unknown, most) : [input];
    const meaning = [`speaks for “${label}”`, "speaks against it", "The deeper, the more."];
    const nodes = [
      verdict,
      ...chart(rows, scale),
      ...folded(input, element("p", { class: "text" }, ...text)),
      ...cutLine(truncated),
      ...unknownLine(unknown_words),
      ...(explained ? [legend(...meaning, [["", words, influence]])] : []),
    ];
    return { nodes, summary: `${label}, ${percent(probabilities[label])}` };
  },

  columns: (header) => [["Column of texts", bestOf(header, /^(text|input|sentence|message|body)$/i)]],

  groups: (items) => [items.map((_, index) => index)],

  answered: {
    text: ([text]) => text,
    list: (items) => ({ input: items.map(([text]) => text) }),
    read: ({ label, probabilities }, count) => {
      if (!Array.isArray(label) || !Array.isArray(probabilities) || label.length !== count) return null;
      return label.map((name, place) => {
        const shares = Object.entries(probabilities[place]).map(([each, share]) => [`probability of ${each}`, share]);
        return { predicted: name, ...Object.fromEntries(shares) };
      });
    },
    finish: () => {},
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

  show({ sent1, sent2 }, { probability, ranking, truncated, unknown_words, words, influence }, outcome) {
    const unknown = new Set(unknown_words);
    const explained = sent2.every(
      (_, index) =>
        isExplained(words?.sent1, influence?.sent1?.[index]) &&
        isExplained(words?.sent2?.[index], influence?.sent2?.[index]),
    );
    const best = ranking[0];
    const most = explained ? Math.max(...[...influence.sent2.flat(), ...influence.sent1[best]].map(Math.abs)) : 0;
    const shade = (text, read, each) => (explained ? shaded(text, read, each, unknown, most) : [text]);
    const items = ranking.map((index, place) => {
      const shown = shade(sent2[index], words?.sent2?.[index], influence?.sent2?.[index]);
      return element(
        "li",
        place ? {} : { class: "best" },
        element("span", { class: "rank" }, `${place + 1}`),
        element("div", {}, ...folded(sent2[index], element("span", { class: "text" }, ...shown))),
        element("span", { class: "percent" }, percent(probability[index])),
        sized(element("span", { class: "bar", "aria-hidden": "true" }), probability[index]),
      );
    });
    // They start where the same candidates stood before, or else in the order they were sent.
    const old = [...outcome.querySelectorAll(".ranking .text")].map((text) => text.textContent);
    const before = ranking.map((index) => old.indexOf(sent2[index]));
    const same = old.length === sent2.length && !before.includes(-1);
    const start = items.map((item, place) => [same ? before[place] : ranking[place], item]);
    const list = element("ol", { class: "ranking", role: "list" });
    list.append(...start.sort(([a], [b]) => a - b).map(([, item]) => item));
    const question = shade(sent1, words?.sent1, influence?.sent1?.[best]);
    const columns = explained
      ? [
          ["The question, with the best answer", words.sent1, influence.sent1[best]],
          ...ranking.map((index, place) => [`Answer ${place + 1}`, words.sent2[index], influence.sent2[index]]),
        ]
      : [];
    const meaning = ["makes it likelier", "makes it less likely", "In the question: with the best answer."];
    const nodes = [
      ...folded(sent1, element("p", { class: "text question" }, ...question)),
      element("p", { class: "note" }, "Each probability is that this candidate answers the question."),
      list,
      ...cutLine(truncated),
      ...unknownLine(unknown_words),
      ...(explained ? [legend(...meaning, columns)] : []),
    ];
    const summary = `Best of ${sent2.length}: ${sent2[best]}, ${percent(probability[best])}`;
    return { nodes, summary, settle: () => reorder(list, items) };
  },

  columns: (header) => {
    const question = bestOf(header, /^(question|query|sent1)$/i);
    const answer = header.findIndex((name) => /^(answer|candidate|sent2)$/i.test(name.trim()));
    return [
      ["Column of questions", question],
      ["Column of answers", answer < 0 ? Math.min(question + 1, header.length - 1) : answer],
    ];
  },

  groups: (items) => [...Map.groupBy(items.keys(), (index) => items[index][0]).values()],

  answered: {
    text: ([, answer]) => answer,
    list: (items) => ({ sent1: items[0][0], sent2: items.map(([, answer]) => answer) }),
    read: ({ probability }, count) =>
      isNumbers(probability, count) ? probability.map((share) => ({ probability: share, rank: "" })) : null,
    finish: (rows) => {
      const scored = rows.filter((row) => row?.probability !== undefined);
      scored.sort((a, b) => b.probability - a.probability).forEach((row, place) => (row.rank = place + 1));
    },
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
      complain(new Problem("There is no API URL.", apiNote.textContent));
      apiDetails.open = true;
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

  function complain(problem, quietly = false) {
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
    if (!quietly) reveal();
  }

  /** Ask for what the form holds; `quietly`, when nobody pressed a button: nothing moves, nothing is read out. */
  async function send(quietly = false) {
    const mine = ++turn;
    controller?.abort();
    wait(false, "");
    const fields = read();
    if (!fields) return;
    controller = new AbortController();
    wait(true, quietly ? "" : "Waiting for the answer…");
    try {
      const url = await urlOf(model.name);
      if (mine !== turn) return;
      const { answer, seconds } = await postExplained(url, fields, controller);
      if (mine !== turn) return;
      if (!answer || !isTimed(answer) || !model.isAnswer(answer, fields)) {
        throw new Problem("The answer did not come from an API for this page.", CHECK_URL);
      }
      const { nodes, summary, settle } = model.show(fields, answer, outcome);
      const link = linkTo(model.name, Object.fromEntries(new FormData(form)));
      const call = element("div", { class: "call" }, callTimes(answer, seconds), toCopy(url, fields, link));
      alert.replaceChildren();
      shown.replaceChildren(...nodes, call);
      shown.hidden = false;
      settle?.();
      if (!quietly) reveal();
      wait(false, quietly ? "" : `${summary}. Took ${duration(seconds)}.`);
    } catch (error) {
      if (mine !== turn) return;
      if (!(error instanceof Problem)) throw error;
      complain(error, quietly);
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
    if (!untouched || !known.length) return;
    fill(known[0].values);
    send(true);
  }

  /** Take the input of a link to this model, and ask for it. */
  function follow(values) {
    fill(Object.fromEntries(Object.keys(model.missing).map((name) => [name, values.get(name) ?? ""])));
    if (api) send();
  }

  manyTexts(model, section);
  return { name: model.name, section, introduce, follow };
}

// A file of many texts

/** Let a section answer a file: chosen or dropped there, sent in lists, and offered with the answers beside its rows. */
function manyTexts(model, section) {
  const box = section.querySelector(".file");
  box.append(document.getElementById("file-run").content.cloneNode(true));
  const field = box.querySelector("input");
  const choice = box.querySelector(".choice");
  const status = box.querySelector('[role="status"]');
  const bar = box.querySelector("progress");
  const start = box.querySelector(".start");
  const stop = box.querySelector(".stop");
  const saved = box.querySelector(".saved");
  let rows = []; // of the file, the header first
  let name = "";
  let controller = new AbortController(); // of the run under way

  const say = (text, wrong = false) => {
    status.textContent = text;
    status.classList.toggle("wrong", wrong);
  };

  async function take(file) {
    controller.abort();
    box.open = true;
    saved.replaceChildren();
    choice.replaceChildren();
    start.hidden = true;
    try {
      if (file.size > FILE_BYTES) throw new Error(`it is over ${FILE_BYTES / 1e6} MB; utils/predict.py takes any size`);
      rows = rowsOf(file.name, new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()));
      if (rows.length < 2) throw new Error("it has no rows under its first line, which names the columns");
    } catch (error) {
      const why = error instanceof TypeError ? "it is not text in UTF-8" : error.message;
      say(`${file.name}: ${why}.`, true);
      return;
    }
    name = file.name;
    const options = () => rows[0].map((column, index) => element("option", { value: index }, column || `column ${index + 1}`));
    choice.append(
      ...model.columns(rows[0]).map(([title, index]) => {
        const select = element("select", {}, ...options());
        select.value = index;
        return element("label", {}, title, select);
      }),
    );
    start.hidden = false;
    say(`${name}: ${(rows.length - 1).toLocaleString("en")} rows.`);
  }

  /** Return the rows with their answers, as CSV; what is not answered has none. */
  function written(answers) {
    const found = new Set(answers.flatMap((answer) => Object.keys(answer ?? {})));
    const added = [...found].sort((a, b) => (a === "error") - (b === "error")); // errors last
    const body = rows.slice(1).map((row, index) => {
      const filled = rows[0].map((_, place) => row[place] ?? "");
      return [...filled, ...added.map((column) => answers[index]?.[column] ?? "")];
    });
    return writeTable([[...rows[0], ...added], ...body]);
  }

  function offer(answers) {
    const blob = new Blob(["\uFEFF", written(answers)], { type: "text/csv" });
    const download = `${name.replace(/\.[^.]*$/, "")}-answered.csv`;
    saved.replaceChildren(element("a", { href: URL.createObjectURL(blob), download }, `Download ${download}`));
  }

  async function run() {
    if (!api) return say("There is no API URL: API settings, at the top of the page.", true);
    const columns = [...choice.querySelectorAll("select")].map((select) => Number(select.value));
    const items = rows.slice(1).map((row) => columns.map((column) => (row[column] ?? "").trim()));
    const answers = items.map((item) => (item.every(Boolean) ? null : { error: "empty" }));
    const open = [...items.keys()].filter((index) => !answers[index]);
    const mine = (controller = new AbortController());
    saved.querySelector("a") && URL.revokeObjectURL(saved.querySelector("a").href);
    saved.replaceChildren();
    bar.max = open.length;
    bar.value = 0;
    bar.hidden = stop.hidden = false;
    start.hidden = true;
    say(`Answering ${open.length.toLocaleString("en")} rows…`);
    let problem = null;
    try {
      for (const group of model.groups(open.map((index) => items[index]))) {
        const indices = group.map((place) => open[place]);
        const store = (place, columns) => {
          answers[indices[place]] = columns;
          bar.value += 1;
        };
        const texts = indices.map((index) => items[index]);
        await answerAll(await urlOf(model.name), texts, model.answered, store, mine);
        model.answered.finish(indices.map((index) => answers[index]));
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem = error;
    }
    if (mine !== controller) return; // another file was taken meanwhile
    const wrong = answers.filter((answer) => answer?.error).length;
    const done = answers.filter(Boolean).length - wrong;
    bar.hidden = stop.hidden = true;
    start.hidden = false;
    const ending = mine.signal.aborted ? " Stopped." : problem ? ` ${problem.message} ${problem.advice}` : "";
    const errors = wrong ? ` ${wrong.toLocaleString("en")} can't be: the column “error” says why.` : "";
    say(`${done.toLocaleString("en")} of ${items.length.toLocaleString("en")} rows are answered.${errors}${ending}`, Boolean(problem));
    if (done + wrong) offer(answers);
  }

  field.addEventListener("change", () => field.files.length && take(field.files[0]));
  start.addEventListener("click", run);
  stop.addEventListener("click", () => controller.abort());
  section.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    section.classList.add("dropping");
  });
  section.addEventListener("dragleave", () => section.classList.remove("dropping"));
  section.addEventListener("drop", (event) => {
    section.classList.remove("dropping");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
}

// What the page is opened with

const PANELS = [panel(KIM_CNN), panel(SM_CNN)];

/** Fill in and ask what the address holds after the #, for the model that it names. */
function followLink() {
  const values = new URLSearchParams(location.hash.slice(1));
  PANELS.find(({ name }) => name === values.get("model"))?.follow(values);
}

/** Ask the API what its models are; hide a model that it does not have, unless it has none. */
async function introduceModels() {
  const asked = api;
  const answers = await Promise.allSettled(
    PANELS.map(({ name }) =>
      Promise.any(
        asked.split(" ").map(async (base) => {
          const response = await fetch(`${base}/${name}`, {
            headers: authorization(),
            credentials: "omit",
            signal: AbortSignal.timeout(TIMEOUT),
          });
          const about = await response.json();
          if (about?.model !== name) throw new Error("not this API");
          if (asked === api) homes[name] = base;
          return about;
        }),
      ),
    ),
  );
  if (asked !== api) return;
  const any = answers.some(({ value }) => value);
  PANELS.forEach(({ section, introduce }, index) => {
    section.hidden = any && !answers[index].value;
    if (answers[index].value) introduce(answers[index].value);
  });
}

if (api) introduced = introduceModels();
followLink();
window.addEventListener("hashchange", followLink);
