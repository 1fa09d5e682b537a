// Talking: questions and answers, the talks that are kept, and what the family says of an answer.
import { $, drop, elder, elderName, get, here, make, post, stream, words } from "./api.js";

const OPENING = 60;  // letters of a question that is offered

let open = "", said = [], asking = null;

export function say(kind, text) {
  const bubble = make("div", { className: `said ${kind}`, children: [make("p", { className: "words", text })] });
  $("welcome").hidden = true;
  $("talk").append(bubble); bubble.scrollIntoView({ block: "end" });
  return bubble;
}

export function startAnew() {
  open = ""; said = []; asking = null;
  $("talk").replaceChildren(); $("send").disabled = false;
  $("welcome").hidden = false;
  $("face").textContent = [...elderName()][0] ?? "";
  $("greeting").textContent = words().greeting(elderName());
  offerOpenings().catch(complain);
  for (const item of $("talklist").children) item.classList.remove("open");
}

// Questions that were answered: any three, others in each new talk. Until three were, some that suit any life.
async function offerOpenings() {
  const whose = elder(), { answers } = await get(`/elders/${whose}/answers?limit=1000`);
  if (whose !== elder()) return;
  const told = [...new Set(answers.map(one => one.question).filter(one => one && one.length <= OPENING))];
  const some = [...Array(3)].flatMap(() => told.splice(Math.floor(Math.random() * told.length), 1));
  const openings = some.length < 3 ? [words().first, words().second, words().third] : some;
  $("openings").replaceChildren(...openings.map(text => make("button", { type: "button", text, on: { click: () => ask(text) } })));
}

export async function ask(message) {
  const mine = asking = {};
  $("send").disabled = true;
  say("mine", message);
  const bubble = say("theirs waiting", "…"), text = bubble.firstChild, talk = open;
  bubble.ariaBusy = "true";
  try {
    const question = { elder_id: elder(), message, member: here.member, conversation_id: open, conversation_history: said.slice(-6), strict: $("strict").checked, stream: true };
    let sofar = "";
    for await (const [kind, data] of stream("/chat", question)) {
      if (asking !== mine) return;
      if (kind === "error") throw new Error(data.message);
      if (kind === "token") { sofar += data.text; bubble.classList.remove("waiting"); text.textContent = sofar; }
      if (kind === "done") {
        text.textContent = data.response;
        said.push({ role: "user", content: message }, { role: "assistant", content: data.response });
        showUnder(bubble, { ...data, question: message, answer: data.response });
        if (here.member && !data.conversation_id) bubble.append(make("p", { className: "under note", text: words().notkept }));
        if (data.conversation_id && data.conversation_id !== talk) { open = data.conversation_id; }
        if (here.member) await listTalks().catch(complain);  // the answer is there, whatever becomes of the list
      }
      bubble.scrollIntoView({ block: "end" });
    }
  } catch (error) {
    text.textContent = error instanceof TypeError ? words().offline : error.message; bubble.classList.add("error");
  }
  bubble.classList.remove("waiting"); bubble.ariaBusy = "false";
  if (asking === mine) { bubble.scrollIntoView({ block: "end" }); $("send").disabled = false; $("message").focus(); }
}

// ---- the talks that are kept ------------------------------------------------------------------------

export async function listTalks() {
  $("memberwords").textContent = here.member ? words().kept : words().unkept;
  const asked = new URLSearchParams({ elder_id: elder(), member: here.member, limit: 100 });
  const { conversations } = here.member ? await get(`/conversations?${asked}`) : { conversations: [] };
  const day = new Intl.DateTimeFormat(here.language, { dateStyle: "medium" });
  $("talklist").replaceChildren(...conversations.map(one => make("li", {
    className: one.conversation_id === open ? "open" : "",
    children: [
      make("button", { type: "button", className: "talk", on: { click: () => goOn(one).catch(complain) },
        children: [make("b", { text: one.title }), make("small", { text: day.format(new Date(one.updated_at)) })] }),
      make("button", { type: "button", className: "bin", text: "×", "aria-label": words().bin(one.title), on: { click: () => forget(one).catch(complain) } }),
    ],
  })));
  if (here.member && !conversations.length) $("talklist").append(make("li", { className: "note", text: words().none }));
  $("talkslabel").hidden = !here.member;
  $("deletetalks").hidden = !conversations.length;
}

async function goOn(one) {
  const whole = await get(`/conversations/${one.conversation_id}`);
  startAnew();
  open = one.conversation_id;
  for (const turn of whole.turns) {
    say("mine", turn.question);
    showUnder(say("theirs", turn.answer), turn);
  }
  await listTalks();
  $("message").focus();
}

async function forget(one) {
  if (!confirm(words().reallyone(one.title))) return;
  await drop(`/conversations/${one.conversation_id}`);
  if (open === one.conversation_id) startAnew();
  await listTalks();
}

export async function forgetAll() {
  if (!confirm(words().reallyall(here.member))) return;
  await drop(`/conversations?${new URLSearchParams({ member: here.member, elder_id: elder() })}`);
  startAnew();
  await listTalks();
}

export const complain = error => say("theirs error", error.message);

// ---- under an answer: thumbs, a correction, the memories ------------------------------------------------

function showUnder(bubble, turn) {
  const under = make("div", { className: "under" });
  if (turn.refused) under.append(make("p", { className: "note", text: words().refused }));
  if (turn.answer) under.append(...thumbs(turn));
  if (turn.memories.length) under.append(memoriesOf(turn));
  bubble.append(under);
}

function thumbs(turn) {
  const note = make("span", { role: "status" }), form = make("form", { className: "correction", hidden: true });
  let given = turn.feedback ?? null;
  const tell = error => { note.textContent = error.message; };
  const button = verdict => make("button", { type: "button", className: verdict, "aria-label": words()[verdict], title: words()[verdict], children: [thumb()], on: { click: () => press(verdict).catch(tell) } });
  const up = button("up"), down = button("down");
  const show = () => {
    for (const [one, verdict] of [[up, "up"], [down, "down"]]) one.setAttribute("aria-pressed", String(given?.verdict === verdict));
  };
  async function give(verdict, more = {}) {
    given = await post("/feedback", { elder_id: elder(), question: turn.question, answer: turn.answer, memory_ids: turn.memory_ids, model: turn.model, member: here.member, verdict, ...more });
    const told = [words().thanks];
    if (given.unsupported.length) told.push(words().unknown(given.unsupported.join(", ")));
    if (given.answer_id) told.push(words().remembered);
    if (given.personal_data.length) told.push(words().personal.replace(/^[.。] ?/, ""));
    note.textContent = told.join(" ");
    show();
  }
  async function press(verdict) {
    form.hidden = true;
    if (given?.verdict === verdict) {
      await drop(`/feedback/${encodeURIComponent(elder())}/${given.feedback_id}`);
      given = null; note.textContent = words().undone;
      return show();
    }
    await give(verdict);
    form.hidden = verdict !== "down";
    if (!form.hidden) { form.querySelector("textarea").focus(); form.scrollIntoView({ block: "nearest" }); }
  }
  const text = make("textarea", { rows: 3, required: true, maxLength: 2000, value: given?.correction ?? "" }), keep = make("input", { type: "checkbox" });
  form.append(
    make("label", { children: [make("span", { text: words().should }), text] }),
    make("label", { className: "choice", children: [keep, make("span", { text: words().remember })] }),
    make("button", { text: words().correct }));
  form.addEventListener("submit", event => {
    event.preventDefault();
    give("down", { correction: text.value, remember: keep.checked }).then(() => { form.hidden = true; }, tell);
  });
  show();
  return [make("div", { className: "thumbs", children: [up, down, note] }), form];
}

function thumb() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#thumb"); svg.append(use); svg.setAttribute("aria-hidden", "true");
  return svg;
}

function memoriesOf(turn) {
  const marked = Object.fromEntries(turn.evidence.map(one => [one.memory_id, one.words]));
  return make("details", { children: [
    make("summary", { text: `${words().memories} (${turn.memories.length})` }),
    ...turn.memories.map(memory => make("p", { className: "memory", children: [...highlighted(memory.text, marked[memory.id] ?? []), make("small", { text: memory.id })] })),
  ] });
}

// The memory's text, with the words that the answer rests on marked; the longest are looked for first.
function highlighted(text, pieces) {
  const escaped = [...pieces].sort((a, b) => b.length - a.length).map(one => one.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!escaped.length) return [text];
  const held = new Set(pieces);
  return text.split(new RegExp(`(${escaped.join("|")})`)).filter(Boolean).map(one => held.has(one) ? make("mark", { text: one }) : one);
}
