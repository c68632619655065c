// What a person makes of a page; read before every question that is asked of it.
const text = (e) => (e?.innerText ?? "").replace(/\s+/g, " ").trim();
const shown = (e) => {
  const box = e.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && getComputedStyle(e).visibility !== "hidden";
};
const found = (selector, words, within) => {
  const all = [...(within ?? document).querySelectorAll(selector)].filter(shown);
  return all.find((e) => text(e) === words) ?? all.find((e) => text(e).includes(words));
};

// Where to point at what is to be clicked: scrolled into sight, and not under anything else.
const point = (e) => {
  if (!e || e.disabled) return null;
  e.scrollIntoView({ block: "center", behavior: "instant" });
  const boxes = [...e.getClientRects()].filter((b) => b.width > 0 && b.height > 0);
  for (const { left, top, width, height } of boxes) {
    const at = { x: left + width / 2, y: top + height / 2 };
    const hit = document.elementFromPoint(at.x, at.y);
    if (hit && (e.contains(hit) || hit.contains(e) && hit.closest("label"))) return at;
  }
  return null;
};
const clickable = (words) => [document.querySelector("main"), document.body].map((part) => part && found("a[href], button, summary, label", words, part)).find(Boolean);
// A question of a form, by the words over it.
const group = (question) => [...document.querySelectorAll("fieldset, [role=group]")].filter(shown).reverse()
  .find((g) => text(g.querySelector("legend")).includes(question) || text(document.getElementById(g.getAttribute("aria-labelledby"))).includes(question));
const field = (label, question) => {
  const within = question ? group(question) : document;
  const e = within && found("label", label, within);
  return e?.control ?? e?.querySelector("input, select, textarea") ?? null;
};
// A choice of a question, by its words.
const choice = (question, words) => group(question) && found("label", words, group(question));

// What has the focus, in words, and what a person who looks for it would miss.
const focused = () => {
  const e = document.activeElement;
  if (!e || e === document.body) return { words: "", wrong: "" };
  const ring = e.closest(".choice") ?? e;
  const style = [e, ring].map((x) => getComputedStyle(x)).find((s) => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2);
  const { left, top, right, bottom } = ring.getBoundingClientRect();
  const inSight = bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
  const words = text(e) || text(e.labels?.[0]) || e.getAttribute("aria-label") || e.name || e.tagName;
  const group = e.closest("fieldset");
  return { words, group: group ? text(group.querySelector("legend")) : "", wrong: !style ? "no outline" : !inSight ? "out of sight" : "" };
};

// Links inside a sentence are as high as its line; everything else is a target.
const small = () => [...document.querySelectorAll("a, button, summary, input:not([type=hidden],[type=radio],[type=checkbox]), select")]
  .filter((e) => { const r = e.getBoundingClientRect(); return r.width > 0 && r.left >= 0 && r.height < 43.5 && !e.closest("p:not(.links):not(.crumb):not(.actions), li:not(.rows li), dd"); })
  .map((e) => `${e.outerHTML.slice(0, 90)} is ${e.getBoundingClientRect().height} px high`);
