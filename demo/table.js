// A file of many texts: read, answered in lists of bounded size, and written again with the answers beside each row.
"use strict";

const LIST_TEXTS = 32; // at most in a request,
const LIST_CHARACTERS = 16_000; // and of them together
const LIST_TRIES = 8; // of a list that is throttled or fails for now
const FILE_BYTES = 20_000_000;

/** Return the rows of a CSV or TSV text, RFC 4180, as lists of fields; the first line decides what divides them. */
function parseTable(content) {
  const text = content.replace(/^\uFEFF/, "");
  const first = text.slice(0, (text + "\n").search(/[\r\n]/));
  const count = (mark) => first.split(mark).length;
  const comma = [",", "\t", ";"].sort((a, b) => count(b) - count(a))[0];
  const rows = [];
  let row = [];
  const field = new RegExp(`("((?:[^"]|"")*)"|(?!")[^${comma}\\r\\n]*)(${comma}|\\r\\n|\\n|\\r|$)`, "y");
  while (field.lastIndex < text.length || row.length) {
    const found = field.exec(text);
    if (!found) throw new Error(`line ${rows.length + 1}: a quote in it is not closed, or stands in the middle`);
    row.push(found[2]?.replaceAll('""', '"') ?? found[1]);
    if (found[3] === comma) continue;
    if (row.some(Boolean)) rows.push(row);
    row = [];
  }
  return rows;
}

/** Return rows as CSV. */
function writeTable(rows) {
  const quote = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  return rows.map((row) => row.map(quote).join(",") + "\r\n").join("");
}

/** Return the rows of a file: a table with its header, or a text a line under the header `text`. */
function rowsOf(name, content) {
  if (!/\.txt$/i.test(name)) return parseTable(content);
  return [["text"], ...lines(content).map((line) => [line])];
}

/** Return the indices of `items` as lists that are small enough to be a request each; `text` gives an item's text. */
function listsOf(items, text) {
  const lists = [];
  let characters = Infinity;
  items.forEach((item, index) => {
    characters += text(item).length;
    if (characters > LIST_CHARACTERS || lists.at(-1)?.length >= LIST_TEXTS) {
      lists.push([]);
      characters = text(item).length;
    }
    lists.at(-1).push(index);
  });
  return lists;
}

const pause = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });

/** Post a list until it is answered; throw the Problem that trying again doesn't solve. `controller` stops it. */
async function postList(url, fields, controller) {
  for (let tries = 1; ; tries += 1) {
    try {
      return (await post(url, fields, controller)).answer;
    } catch (problem) {
      if (!(problem instanceof Problem) || !problem.again || tries === LIST_TRIES || controller.signal.aborted) {
        throw problem;
      }
      await pause(Math.max(problem.retryAfter ?? 0, Math.min(30, 2 ** (tries - 1))), controller.signal);
    }
  }
}

/**
 * Answer `items` in lists: call `store(index, columns)` with the columns of each. `list(items)` gives the fields of a
 * request, `read(answer, count)` the columns of each item, or null for an answer of another server. A list that the API
 * refuses is halved; an item alone that it refuses gets what it said, in `error`.
 */
async function answerAll(url, items, { text, list, read }, store, controller) {
  const waiting = listsOf(items, text);
  while (waiting.length && !controller.signal.aborted) {
    const indices = waiting.shift();
    try {
      const answer = await postList(url, list(indices.map((index) => items[index])), controller);
      const columns = read(answer, indices.length);
      if (!columns) throw new Problem("The answer did not come from an API for this page.", CHECK_URL);
      indices.forEach((index, place) => store(index, columns[place]));
    } catch (problem) {
      if (![400, 413].includes(problem.status)) throw problem;
      const half = Math.ceil(indices.length / 2);
      if (indices.length > 1) waiting.unshift(indices.slice(0, half), indices.slice(half));
      else store(indices[0], { error: problem.message });
    }
  }
}
