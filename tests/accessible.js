// What is wrong with the page: names, ids, headings, tables, pictures, and contrast below 4.5 to 1. The body of a function.
const faults = [];
const seen = (e) => { const b = e.getBoundingClientRect(); return b.width > 1 && b.height > 1 && getComputedStyle(e).visibility !== "hidden"; };
const name = (e) => (e.getAttribute("aria-label") || (e.labels && [...e.labels].map((l) => l.innerText).join(" ")) || e.innerText || "").trim();
for (const e of document.querySelectorAll("button, a[href], input, summary")) if (seen(e) && !name(e)) faults.push("no name: " + e.outerHTML);
const ids = [...document.querySelectorAll("body [id]:not(svg *)")].map((e) => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push("twice: " + id);
if (!document.documentElement.lang) faults.push("no lang");
if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
let level = 1;
for (const h of document.querySelectorAll("h1, h2, h3, h4")) { const n = +h.tagName[1]; if (n > level + 1) faults.push("skips to " + h.outerHTML); level = n; }
for (const t of document.querySelectorAll("table")) if (!t.caption && !t.getAttribute("aria-labelledby") && !t.getAttribute("aria-label")) faults.push("table without a name");
for (const e of document.querySelectorAll("th")) if (!e.scope) faults.push("th without scope");
for (const e of document.querySelectorAll("figure")) if (e.querySelector("svg") && e.getAttribute("role") === "img" && !e.getAttribute("aria-label")) faults.push("picture without a name");
const parse = (c) => { const v = c.match(/[\d.]+/g).map(Number); return v.length < 4 ? [...v, 1] : v; };
const light = ([r, g, b]) => { const f = (x) => { x /= 255; return x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4; }; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; (node = walker.nextNode());) {
  const e = node.parentElement;
  if (!node.data.trim() || !seen(e) || e.closest("svg, script, style, [disabled], label:has(:disabled)")) continue;
  const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
  const ratio = (a + .05) / (b + .05);
  if (ratio < 4.5) faults.push("contrast " + ratio.toFixed(2) + ": " + node.data.trim().slice(0, 40));
}
return [...new Set(faults)];
