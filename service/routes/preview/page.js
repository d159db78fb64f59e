"use strict";
// Whatever comes from a catalogue is put into the page as text, never as HTML.
const at = (id) => document.getElementById(id);
const SECURE = /^https:\/\//i;

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  const key = at("key").value.trim();
  if (key) headers.Authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
  } catch {
    throw { title: "The service can't be reached, or the key has a character that none has" };
  }
  const body = await answer.json().catch(() => ({ title: `An answer that can't be read (${answer.status})` }));
  if (!answer.ok || !body.version) throw body;
  return body;
}

function query() {
  const found = new URLSearchParams({ customer: at("customer").value.trim(), objective: at("objective").value, n: at("n").value });
  if (at("placement").value) found.set("placement", at("placement").value);
  if (at("at").value) found.set("at", new Date(at("at").value).toISOString());
  return found;
}

function lineOf(mistake) {
  const where = [mistake.line && `line ${mistake.line}`, mistake.rule && `rule ${mistake.rule}`, mistake.path];
  return `${where.filter(Boolean).join(", ") || "file"}: ${mistake.why}`;
}

function showProblem(body) {
  const box = element("div", "", "problem");
  box.append(element("strong", body.title || "This page failed"), element("p", body.detail || body.message));
  if (body.status === 401) box.append(element("p", "Paste a key of the scope operate: nbo-serve keys create --scope operate"));
  if (body.mistakes) {
    const list = element("ul");
    list.append(...body.mistakes.map((mistake) => element("li", lineOf(mistake))));
    box.append(list);
  }
  at("problem").replaceChildren(box);
}

function notesOf(found) {
  return [
    ...found.warnings,
    ...found.asleep.map((rule) => `rule ${rule}: doesn't hold at this moment`),
    ...found.never_fired
      .filter((rule) => !found.not_here.some((one) => one.rule === rule))
      .map((rule) => `rule ${rule}: touches nothing in this list`),
    ...found.not_here.map((one) => `rule ${one.rule}: not in this list: ${one.why}`),
    ...found.pins_not_shown.map((pin) => `rule ${pin.rule}: its pin isn't at its place: ${pin.why}`),
  ].map((text) => element("li", text));
}

function picture(product) {
  const url = product.image_url || "";
  const made = element(SECURE.test(url) ? "img" : "div", "", "picture");
  if (made.tagName === "IMG") Object.assign(made, { alt: "", loading: "lazy", referrerPolicy: "no-referrer", src: url });
  return made;
}

// `ends_at` is the first moment after the offer: midnight would name the day after its last one.
function lastMoment(endsAt) {
  return new Date(Date.parse(endsAt) - 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

function offerOf(offer) {
  const until = offer.ends_at ? `, until ${lastMoment(offer.ends_at)}` : "";
  return `Offer ${offer.offer_id}${offer.discount === null ? "" : `: ${offer.discount} off`}${until}`;
}

function card(product, [mark, kind]) {
  const item = element("li", "", kind && "changed");
  const title = element("h3", product.title);
  if (mark) title.append(element("span", mark, `mark ${kind}`));
  const chance = product.probability === null ? "unknown" : `${+(product.probability * 100).toPrecision(3)} %`;
  const worth = product.expected_value === null ? "unknown" : +product.expected_value.toPrecision(3);
  const price = product.price === null ? "no price" : product.price.toFixed(2);
  const told = element("div");
  told.append(
    title,
    element("p", product.reason.text),
    element("p", [price, product.category, product.product_id].filter((one) => one !== null).join(" · "), "soft"),
  );
  if (product.offer) told.append(element("p", offerOf(product.offer)));
  told.append(element("p", `probability ${chance} · expected value ${worth}`, "soft"));
  item.append(element("div", String(product.rank), "rank"), picture(product), told);
  return item;
}

const SOURCES = {
  personal: "From the customer's own history.",
  session: "With what the customer bought since the last night.",
  popular: "Nothing personal: a stranger, somebody whose history explains none of these, or who allows nothing personal.",
};

function column(title, answer, markOf, lang) {
  const made = element("section");
  const list = element("ol");
  list.lang = lang;
  list.append(...answer.recommendations.map((product) => card(product, markOf(product))));
  made.append(element("h2", title), element("p", SOURCES[answer.source], "soft"), list);
  if (!answer.recommendations.length) made.append(element("p", "No product may be shown."));
  return made;
}

const ranksOf = (answer) => new Map(answer.recommendations.map((one) => [one.product_id, one.rank]));

function showLists(found, isTried, lang) {
  const before = ranksOf(found.before);
  const after = ranksOf(found.after);
  const leaving = (one) => (after.has(one.product_id) ? [""] : ["leaves", "left"]);
  const moving = (one) => {
    const was = before.get(one.product_id);
    if (!was) return ["comes", "came"];
    return was === one.rank ? [""] : [was > one.rank ? `↑ from ${was}` : `↓ from ${was}`, "moved"];
  };
  const columns = [column(`Rules in force (${found.rules_before})`, found.before, leaving, lang)];
  if (isTried) columns.push(column("These rules", found.after, moving, lang));
  at("lists").replaceChildren(...columns);
  at("notes").replaceChildren(...notesOf(found));
  const moved = [...after].filter(([id, rank]) => before.has(id) && before.get(id) !== rank).length;
  const came = [...after.keys()].filter((id) => !before.has(id)).length;
  const left = [...before.keys()].filter((id) => !after.has(id)).length;
  const changes = isTried ? `; comes: ${came}, leaves: ${left}, moves: ${moved}` : "";
  at("status").textContent = `Version ${found.version}, variant ${found.before.variant}${changes}.`;
}

async function whileAsking(ask) {
  for (const id of ["problem", "notes", "lists"]) at(id).replaceChildren();
  at("status").textContent = "Asking…";
  at("show").disabled = at("fetch").disabled = true;
  try {
    await ask();
  } catch (err) {
    at("status").textContent = "";
    showProblem(err);
  } finally {
    at("show").disabled = at("fetch").disabled = false;
  }
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  whileAsking(async () => {
    const lang = at("language").value;
    const body = at("rules").value.trim() && at("rules").value;
    const headers = { "Content-Type": "application/toml", "Accept-Language": lang };
    const found = await call(`/rules/dry-run?${query()}`, { method: "POST", headers, body });
    showLists(found, Boolean(body), lang);
  });
});

at("fetch").addEventListener("click", () =>
  whileAsking(async () => {
    const found = await call("/rules");
    at("rules").value = found.text;
    at("status").textContent = `These are the rules in force: version ${found.version}.`;
  }),
);
