// The words of an answer, found again in the text as it was typed, to be marked and shaded there.
"use strict";

// How a word may have been typed, where that is not how inference/tokenizer.py writes it.
const TYPED = {
  "``": ["``", '"', "“", "„", "«"],
  "''": ["''", '"', "”", "»"],
  "...": ["...", "…"],
  "(": ["(", "-lrb-"],
  ")": [")", "-rrb-"],
  "[": ["[", "-lsb-"],
  "]": ["]", "-rsb-"],
  "{": ["{", "-lcb-"],
  "}": ["}", "-rcb-"],
};
const PLACEHOLDERS = {
  "<url>": /(?:https?:\/\/|ftp:\/\/|www\.)[^\s<>]*[^\s<>'`.,;:!?()[\]{}]/iy,
  "<email>": /[\p{L}\p{N}_.+%-]+@[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)+/uy,
  "<user>": /@\p{L}[\p{L}\p{N}_]*/uy,
  "<number>": /\+?\d(?:[-.,/:]?\d){4,}/y,
};
const AHEAD = 40; // characters in which a word is looked for that is not where the one before it ends

/** Return where each of `words` stands in `text`: [start, end] in its order, or null for one that is not found. */
function places(text, words) {
  // Of each character its lower case, if that is one character, so that places stay the same.
  const lower = Array.from({ length: text.length }, (_, at) => {
    const small = text[at].toLowerCase();
    return small.length === 1 ? small.replace(/[‘’]/, "'") : text[at];
  }).join("");
  let from = 0;
  return words.map((word) => {
    while (/\s/.test(lower[from] ?? "")) from += 1;
    const pattern = PLACEHOLDERS[word];
    if (pattern) {
      pattern.lastIndex = from;
      const found = pattern.exec(text);
      if (found) return [from, (from += found[0].length)];
    }
    const near = lower.slice(from, from + AHEAD + word.length);
    const found = (TYPED[word] ?? [word])
      .map((typed) => [near.indexOf(typed), typed.length])
      .filter(([at]) => at >= 0)
      .sort(([a], [b]) => a - b)[0];
    if (!found) return null;
    const start = from + found[0];
    return [start, (from = start + found[1])];
  });
}

/** Return a share of influence as points of probability, with its sign: +12.3, −0.4. */
function points(influence) {
  const size = (100 * Math.abs(influence)).toFixed(1);
  return (size === "0.0" ? "" : influence > 0 ? "+" : "−") + size;
}

/**
 * Return `text` as nodes to append: strings, and a <mark> around each word that has no vector (`unknown`, a set) or has
 * an influence. `words` and `influence` are those of the answer; `most` is the influence that gets the deepest shade.
 */
function shaded(text, words, influence, unknown, most) {
  const nodes = [];
  let done = 0;
  places(text, words).forEach((place, index) => {
    if (!place) return;
    const [start, end] = place;
    const depth = most > 0 ? Math.abs(influence[index]) / most : 0;
    const isUnknown = unknown.has(words[index]);
    if (!isUnknown && depth < 0.05) return;
    const side = influence[index] > 0 ? "for" : "against";
    const kinds = [...(isUnknown ? ["no-vector"] : []), ...(depth < 0.05 ? [] : [side])];
    const title = (isUnknown ? "no word vector; " : "") + `${points(influence[index])} points`;
    const mark = element("mark", { class: kinds.join(" "), title }, text.slice(start, end));
    mark.style.setProperty("--depth", depth.toFixed(3));
    nodes.push(text.slice(done, start), mark);
    done = end;
  });
  return [...nodes, text.slice(done)].filter((node) => node !== "");
}

/** Return what the shades mean, and the same numbers as a table. `columns` are [heading, words, influence] each. */
function legend(forWhat, againstWhat, note, columns) {
  const key = element(
    "p",
    { class: "key" },
    element("mark", { class: "for" }, forWhat),
    " ",
    element("mark", { class: "against" }, againstWhat),
    ` ${note}`,
  );
  const tables = columns.map(([heading, words, influence]) => {
    const rows = words.map((word, index) =>
      element("tr", {}, element("th", { scope: "row" }, word), element("td", {}, points(influence[index]))),
    );
    const head = element("tr", {}, element("th", { scope: "col" }, "Word"), element("th", { scope: "col" }, "Points"));
    const caption = heading ? [element("caption", {}, heading)] : [];
    return element("table", {}, ...caption, element("thead", {}, head), element("tbody", {}, ...rows));
  });
  const title = "Points of probability, word by word";
  return element("div", { class: "legend" }, key, element("details", {}, element("summary", {}, title), element("div", { class: "tables" }, ...tables)));
}
