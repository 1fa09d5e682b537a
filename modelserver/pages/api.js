// The REST interface as the page uses it. The key stays in the address's fragment and the browser's own storage.
import { WORDS } from "./words.js";

export const $ = id => document.getElementById(id);
export const fromAddress = new URLSearchParams(location.hash.slice(1));
export const here = {
  language: fromAddress.get("lang") || localStorage.getItem("lang") || (navigator.language.startsWith("zh") ? "zh" : "en"),
  key: fromAddress.get("key") || localStorage.getItem("key") || "",
  member: localStorage.getItem("member") || "",
};
if (!WORDS[here.language]) here.language = "en";
if (fromAddress.get("key")) { localStorage.setItem("key", here.key); history.replaceState(null, "", location.pathname); }

export const words = () => WORDS[here.language];
export const elder = () => $("elder").value;
export const elderName = () => $("elder").selectedOptions[0]?.text ?? "";

export async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${here.key}`, "Accept-Language": here.language, ...(options.headers || {}) } });
  } catch { throw new Error(words().offline); }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({ error: { message: words().offline } }));
  throw Object.assign(new Error(words().errors[problem.error.code] ?? problem.error.message),
    { status: answer.status, code: problem.error.code, details: problem.error.details });
}

const send = (method, path, body) => call(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
export const get = async path => (await call(path)).json();
export const post = async (path, body) => (await send("POST", path, body)).json();
export const put = async (path, body) => (await send("PUT", path, body)).json();
export const drop = path => call(path, { method: "DELETE" });

// Server-sent events of a POST: [kind, data] as they come.
export async function* stream(path, body) {
  const reader = (await send("POST", path, body)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const parts = rest.split("\n\n"); rest = parts.pop();
      for (const part of parts) {
        const kind = /^event: ([^\n]*)$/m.exec(part), data = /^data: ([^\n]*)$/m.exec(part);
        if (kind && data) yield [kind[1], JSON.parse(data[1])];
      }
    }
  } finally { reader.cancel().catch(() => {}); }  // nobody listens any more: the answer need not be finished
}

// An element with its words, which are never markup.
export function make(kind, { text, children = [], on = {}, ...rest } = {}) {
  const element = document.createElement(kind);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(rest)) name in element ? element[name] = value : element.setAttribute(name, value);
  for (const [name, act] of Object.entries(on)) element.addEventListener(name, act);
  element.append(...children);
  return element;
}
