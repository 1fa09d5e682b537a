// The page: the door, the elders, and what is open of it.
import { $, fromAddress, get, here, post, words } from "./api.js";
import { showStory } from "./story.js";
import { ask, complain, forgetAll, listTalks, say, startAnew } from "./talk.js";
import { showTraining } from "./teach.js";
import { showVersions } from "./versions.js";

let wanted = fromAddress.get("elder");
const SAID = {
  title: "title", language: "other", doorwords: "door", enter: "enter", send: "send", ai: "ai", teach: "teach", elderwords: "who", messagelabel: "ask",
  qlabel: "question", alabel: "answer", save: "save", filelabel: "file", senderlabel: "sender", upload: "upload", train: "train", bylabel: "by", allow: "allow", withdraw: "withdraw", cancel: "cancel",
  add: "add", namelabel: "name", idlabel: "id", speakslabel: "speaks", create: "create", live: "live",
  talksbutton: "talks", talkslabel: "talks", memberlabel: "member", newtalk: "newtalk", deletetalks: "all", strictlabel: "strict",
  storybutton: "story", storylabel: "story", versionsbutton: "versions", versionslabel: "versions",
  betweenlabel: "between", againstlabel: "against", bothlabel: "ask", compare: "compare",
};
const PANELS = { storybutton: "story", teach: "memories", versionsbutton: "versions", add: "newcomer" };
const READ = { story: showStory, versions: showVersions };  // anew whenever what they show may be another
const INSIDE = ["elderlabel", "ask", ...Object.keys(PANELS), "live", "talks", "talksbutton"];
const isNarrow = matchMedia("(max-width: 52rem)");

function showWords() {
  document.documentElement.lang = here.language;
  for (const [id, word] of Object.entries(SAID)) $(id).textContent = words()[word];
  $("message").placeholder = words().ask;
}

async function openHouse() {
  showWords();
  for (const id of [...INSIDE, "welcome"]) $(id).hidden = true;
  for (const [button, panel] of Object.entries(PANELS)) toggle(button, panel, false);
  $("door").hidden = Boolean(here.key);
  if (!here.key) return;
  try {
    const { elders } = await get("/elders");
    $("elderid").value = `elder-${elders.length + 1}`; $("speaks").value = here.language;
    if (!elders.length) { $("newcomer").hidden = false; return say("theirs", words().nobody); }
    $("elder").replaceChildren(...elders.map(one => new Option(one.name, one.elder_id, false, one.elder_id === wanted)));
    for (const id of INSIDE) $(id).hidden = false;
    $("talks").hidden = isNarrow.matches;
    $("member").value = here.member;
    showTraining(elders);
    startAnew();
    await listTalks();
    $("message").focus();
  } catch (error) {
    if (error.status === 401) { here.key = ""; localStorage.removeItem("key"); $("door").hidden = false; }
    complain(error);
  }
}

function toggle(button, panel, isOpen = $(panel).hidden) {
  $(panel).hidden = !isOpen;
  $(button).setAttribute("aria-expanded", String(isOpen));
  if (!isOpen) return;
  READ[panel]?.();
  $(panel).scrollIntoView({ block: "start" });  // it stands above a talk that may be long
}

function readAgain(told) {
  for (const [panel, read] of Object.entries(READ)) if (!$(panel).hidden) read(told);
}

function another() {
  startAnew(); showTraining(); readAgain();
  return listTalks().catch(complain);
}

$("ask").addEventListener("submit", event => {
  event.preventDefault();
  const message = $("message").value.trim();
  if (!message || $("send").disabled) return;
  $("message").value = "";
  ask(message);
});
$("message").addEventListener("keydown", event => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("ask").requestSubmit(); } });
$("keyform").addEventListener("submit", event => { event.preventDefault(); here.key = $("key").value.trim(); localStorage.setItem("key", here.key); $("talk").replaceChildren(); openHouse(); });
$("language").addEventListener("click", () => {
  here.language = here.language === "zh" ? "en" : "zh"; localStorage.setItem("lang", here.language);
  showWords();
  if ($("elderlabel").hidden) return;
  if (!$("welcome").hidden) startAnew();
  showTraining(); readAgain();
  listTalks().catch(complain);
});
$("member").addEventListener("change", () => {
  const before = here.member;
  here.member = $("member").value.trim(); localStorage.setItem("member", here.member);
  if (before) return another();
  listTalks().catch(complain);  // what was said without a name stays in sight, and goes on with one
});
$("elder").addEventListener("change", another);
$("newtalk").addEventListener("click", () => { startAnew(); if (isNarrow.matches) toggle("talksbutton", "talks"); $("message").focus(); });
$("deletetalks").addEventListener("click", () => forgetAll().catch(complain));
$("talksbutton").addEventListener("click", () => toggle("talksbutton", "talks"));
for (const [button, panel] of Object.entries(PANELS)) $(button).addEventListener("click", () => toggle(button, panel));
addEventListener("model", event => readAgain(event.detail));  // another version is in use, or one came or went
$("live").addEventListener("click", () => { $("live").hash = new URLSearchParams({ elder: $("elder").value, lang: here.language }); });
isNarrow.addEventListener("change", () => { if (!$("elderlabel").hidden) $("talks").hidden = isNarrow.matches; });
$("elderform").addEventListener("submit", async event => {
  event.preventDefault();
  try {
    wanted = (await post("/elders", { elder_id: $("elderid").value.trim(), name: $("name").value.trim(), language: $("speaks").value })).elder_id;
    $("name").value = $("created").textContent = "";
    $("talk").replaceChildren();
    await openHouse();
    toggle("teach", "memories", true); $("question").focus();
  } catch (error) { $("created").textContent = error.message; }
});
openHouse();
