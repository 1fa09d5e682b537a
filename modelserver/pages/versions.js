// The versions of an elder's model: what was measured of each, which is in use, and what can be done with them.
import { $, drop, elder, get, here, make, post, words } from "./api.js";

let showing = null;

// `told`: what was just done, or why it was not.
export async function showVersions(told = "") {
  const mine = showing = {};
  $("versionswords").textContent = told;
  $("versionlist").replaceChildren(); $("compared").replaceChildren(); $("compareform").hidden = true;
  try {
    const { active, versions } = await get(`/models/${elder()}`);
    if (showing !== mine) return;
    const former = active && versions.find(one => one.version < active.version);
    $("versionlist").replaceChildren(...versions.map(one => line(one, one === former)));
    offerComparison(versions);
  } catch (error) { if (showing === mine) $("versionswords").textContent = error.message; }
}

function line(one, isFormer) {
  const when = new Intl.DateTimeFormat(here.language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(one.created_at));
  const facts = [...(one.is_active ? [words().inuse] : []), words().made(when), size(one.size_bytes)];
  const button = (className, text, click) => make("button", { type: "button", className, text, on: { click } });
  const use = isFormer ? button("quiet", words().back(one.version), () => act(rollBack)) : button("quiet", words().use(one.version), () => act(activate, one));
  return make("li", { "aria-current": String(one.is_active), children: [
    make("b", { text: words().version(one.version) }), ` · ${facts.join(" · ")}`,
    make("p", { className: "note", text: measured(one) }),
    ...(one.is_active ? [] : [use, button("quiet danger", words().retire(one.version), () => confirm(words().reallyretire(one.version)) && act(retire, one))]),
  ] });
}

// As the family meets it: trained, and shown the memories that a question finds.
function measured(one) {
  const arm = one.arms.find(arm => arm.arm === "trained+retrieval"), told = [];
  if (arm?.recall != null) told.push(words().right(share(arm.recall, one.answerable)));
  if (arm?.honesty != null) told.push(words().admits(share(arm.honesty, one.unanswerable)));
  return told.join(" ") || words().unmeasured;
}

const share = (part, all) => all ? words().outof({ some: Math.round(part * all), all }) : words().percent(Math.round(part * 100));
const size = bytes => new Intl.NumberFormat(here.language, { style: "unit", unit: "megabyte", maximumFractionDigits: bytes < 1e7 ? 1 : 0 }).format(bytes / 1e6);

const rollBack = async () => words().switched((await post(`/models/${elder()}/rollback`)).version);
const activate = async one => words().switched((await post(`/models/${elder()}/activate`, { version: one.version })).version);
async function retire(one) {
  await drop(`/models/${elder()}/versions/${one.version}`);
  return words().retired({ version: one.version, size: size(one.size_bytes) });
}

// Done or not, the list is read anew: what another member of the family did meanwhile is a reason why not.
async function act(deed, one) {
  const mine = showing, told = await deed(one).catch(error => error.message);
  if (showing !== mine) return;  // another elder's are looked at
  $("versionslabel").focus();  // the button that was pressed is gone
  dispatchEvent(new CustomEvent("model", { detail: told }));
}

// ---- two versions, asked the same ---------------------------------------------------------------------

function offerComparison(versions) {
  const used = versions.find(one => one.is_active) ?? versions[0], other = versions.find(one => one !== used);
  for (const [id, chosen] of [["between", used], ["against", other]])
    $(id).replaceChildren(...versions.map(one => new Option(words().version(one.version), one.version, false, one === chosen)));
  $("compareform").hidden = !other;
}

$("compareform").addEventListener("submit", async event => {
  event.preventDefault();
  const mine = showing, pair = [Number($("between").value), Number($("against").value)];
  const show = (...parts) => { if (showing === mine) $("compared").replaceChildren(...parts); };
  $("compare").disabled = true; show(words().bothasked);
  try {
    const { answers, is_same_questions } = await post(`/models/${elder()}/compare`, { a: pair[0], b: pair[1], question: $("both").value });
    show(...answers.flatMap((text, place) => [make("h3", { text: words().version(pair[place]) }), make("p", { className: "memory", text })]),
      ...(is_same_questions ? [] : [make("p", { className: "note", text: words().otherquestions })]));
  } catch (error) { show(error.message); }
  $("compare").disabled = false;
});
