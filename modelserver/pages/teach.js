// Memories and training: answers typed in or uploaded, consent, and a training that is watched.
import { $, call, drop, elder, get, make, post, put, words } from "./api.js";

const consents = {}, jobs = {};
let following = null;

// Of the elder who is chosen: the consent, and the training that is under way or was watched last.
export function showTraining(elders = []) {
  for (const one of elders) { consents[one.elder_id] = one.consent; jobs[one.elder_id] = one.job_id ?? jobs[one.elder_id]; }
  showConsent(); following = null;
  $("bar").hidden = $("cancel").hidden = true; $("stages").replaceChildren();
  for (const id of ["trainwords", "saved", "uploaded"]) $(id).textContent = "";
  if (jobs[elder()]) follow(jobs[elder()]);
}

function showConsent() {
  const given = consents[elder()];
  $("consentform").hidden = true; $("consented").hidden = !given;
  $("consentwords").textContent = given ? words().consented(given.by) : "";
}

$("answerform").addEventListener("submit", async event => {
  event.preventDefault();
  try {
    const { added, total, personal } = await post(`/elders/${elder()}/answers`, { question: $("question").value, answer: $("answer").value });
    $("saved").textContent = (added ? words().saved(total) : words().dup) + (personal ? words().personal : "");
    $("question").value = ""; $("answer").value = "";
    if (!following) $("trainwords").textContent = "";  // there are more now than it says
  } catch (error) { $("saved").textContent = error.message; }
});

$("fileform").addEventListener("submit", async event => {
  event.preventDefault();
  const file = $("file").files[0], asked = new URLSearchParams({ name: file.name, sender: $("sender").value.trim() });
  $("uploaded").textContent = words().reading; $("upload").disabled = true;
  try {
    const answer = await call(`/elders/${elder()}/uploads?${asked}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file });
    const { added, total, personal } = await answer.json();
    $("uploaded").textContent = words().uploaded(added) + words().saved(total) + (personal ? words().personal : "");
    $("fileform").reset();
  } catch (error) { $("uploaded").textContent = error.message; }
  $("upload").disabled = false;
});

$("train").addEventListener("click", async () => {
  const whose = elder();
  try {
    jobs[whose] = (await post("/train/start", { elder_id: whose, elder_name: "", force_retrain: false })).job_id;
    if (whose === elder()) follow(jobs[whose]);
  } catch (error) {
    if (whose !== elder()) return;
    $("trainwords").textContent = error.message;
    if (error.code === "job_running") follow(jobs[whose] = error.details.job_id);
    if (error.code === "consent_missing") { $("trainwords").textContent = ""; $("consentform").hidden = false; $("by").focus(); }
  }
});

$("consentform").addEventListener("submit", async event => {
  event.preventDefault();
  try {
    consents[elder()] = (await put(`/elders/${elder()}/consent`, { by: $("by").value })).consent;
    showConsent();
    $("train").click();
  } catch (error) { $("trainwords").textContent = error.message; }
});

$("withdraw").addEventListener("click", async () => {
  try {
    await drop(`/elders/${elder()}/consent`);
    consents[elder()] = null;
    showConsent();
    $("trainwords").textContent = words().withdrawn;
  } catch (error) { $("trainwords").textContent = error.message; }
});

$("cancel").addEventListener("click", () => call(`/train/cancel/${jobs[elder()]}`, { method: "POST" }).catch(error => { $("trainwords").textContent = error.message; }));

async function follow(id) {
  const mine = following = {};
  $("bar").hidden = $("cancel").hidden = false;
  while (following === mine) {
    try {
      const now = await get(`/train/progress/${id}`);
      if (following !== mine) return;  // another elder's is looked at
      $("bar").value = now.progress;
      $("stages").replaceChildren(...now.stages.map(stage => make("li", { className: stage.state, text: (words().stages[stage.name] ?? stage.name) + (stage.seconds ? ` ${stage.seconds.toFixed(1)} ${words().seconds}` : "") })));
      $("trainwords").textContent = ended(now) || underWay(now);
      if (now.status === "completed") dispatchEvent(new CustomEvent("model"));
      if (["completed", "failed", "cancelled"].includes(now.status)) { $("cancel").hidden = true; following = null; }
    } catch (error) {
      if (following !== mine) return;
      $("trainwords").textContent = error.message;
      if (error.status === 404) { $("bar").hidden = $("cancel").hidden = true; following = null; }  // it went with its elder
    }
    await new Promise(wake => setTimeout(wake, 1000));
  }
}

function ended(now) {
  const told = now.stages.at(-1)?.facts ?? {};
  const judged = told.regressed ? ` ${words().regressed(told.regressed)}` : "";
  const able = told.ability_trained == null ? "" : ` ${words().able(told)}`;
  const poorer = told.worse_than_base ? ` ${words().poorer}` : "";
  const held = told.split_off ? ` ${words().heldback(told.split_off)}` : "";
  return { completed: (told.kept ? words().better : words().done) + poorer + judged + able + held, cancelled: words().cancelled, failed: words().failed + (now.error ? now.error.message : "") }[now.status];
}

function underWay(now) {
  const parts = [`${now.progress}%`];
  if (now.total_epochs) parts.push(`${words().epoch} ${now.current_epoch}/${now.total_epochs}`);
  if (now.loss != null) parts.push(`${words().loss} ${now.loss.toFixed(2)}`);
  if (now.eta) parts.push(words().left(now.eta));
  return parts.join(" · ");
}
