// The story: an elder's life, by year, and who is who in it; as long as it is not written, what was told itself.
import { $, elder, get, make, words } from "./api.js";

const UNWRITTEN = ["model_not_found", "bio_not_found", "graph_not_found"];
let showing = null;

export async function showStory() {
  const mine = showing = {}, whose = elder();
  $("storywords").textContent = ""; $("storytold").replaceChildren();
  try {
    const asked = [get(`/elders/${whose}/biography`), get(`/elders/${whose}/timeline`), get(`/elders/${whose}/kinship`)];
    const [life, time, kin] = await Promise.all(asked.map(ifWritten));
    const told = life ? null : await get(`/elders/${whose}/answers?limit=1000`);
    if (showing !== mine) return;
    if (told) $("storywords").textContent = told.total ? words().unwritten : words().untold;
    $("storytold").replaceChildren(...(life ? [make("p", { text: life.third_person })] : asTold(told)),
      ...under(words().years, "dl", byYear(time?.happenings ?? [])),
      ...under(words().relatives, "ul", (kin?.relatives ?? []).map(relative)));
  } catch (error) { if (showing === mine) $("storywords").textContent = error.message; }
}

const ifWritten = asked => asked.catch(error => { if (!UNWRITTEN.includes(error.code)) throw error; });
const under = (title, kind, children) => children.length ? [make("h3", { text: title }), make(kind, { children })] : [];

function asTold({ answers, total }) {
  const told = answers.map(one => make("p", { className: "memory", children: [make("small", { text: one.question }), one.answer] }));
  return total > answers.length ? [...told, make("p", { className: "note", text: words().more(total - answers.length) })] : told;
}

// A year stands once above all that it brought; what has none goes by the words that were used: "the year of the flood".
function byYear(happenings) {
  const when = one => String(one.year ?? one.told);
  return happenings.flatMap((one, place) => [
    ...(place && when(happenings[place - 1]) === when(one) ? [] : [make("dt", { text: when(one) })]),
    make("dd", { text: one.text }),
  ]);
}

const relative = one => make("li", { text: [one.whose, one.called, one.name].filter(Boolean).join(" · ") });
