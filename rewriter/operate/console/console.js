"use strict";
(() => {
  const data = JSON.parse(document.getElementById("known").textContent);
  const said = document.getElementById("said");
  const byId = new Map(data.rules.map((rule) => [rule.id, rule]));
  const normal = (text) => text.toLowerCase().normalize("NFKC").replace(/[^\p{L}\p{N}\p{M}' ]+/gu, " ").trim().replace(/\s+/g, " ");

  function make(tag, text, attributes = {}) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }
  const quoted = (text) => make("bdi", text, { dir: "auto" });

  async function post(path, body) {
    const response = await fetch(new URL(path, location.origin), {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), credentials: "same-origin",
    });
    const found = await response.json().catch(() => ({ error: "the service gave no answer that can be read" }));
    if (!response.ok) throw new Error(found.error || `status ${response.status}`);
    return found;
  }

  // --- Try a request.
  const form = document.getElementById("ask");
  const answer = document.getElementById("answer");

  function table(of) {
    const found = make("table", undefined, { class: "stack" });
    found.append(make("caption", of.title));
    const head = found.createTHead().insertRow();
    for (const name of of.columns) head.append(make("th", name, { scope: "col" }));
    const body = found.createTBody();
    for (const row of of.rows) {
      const line = body.insertRow();
      row.forEach((cell, i) => line.append(make("td", cell, { "data-name": of.columns[i], dir: "auto" })));
    }
    return found;
  }

  function headline(text, applied, source) {
    const line = make("h3");
    if (applied) line.append("Sent instead: ", quoted(text));
    else line.append("Left as it is: ", quoted(source));
    return line;
  }

  function fromRules(source) {
    const rule = data.rules.find((each) => each.source === normal(source));
    if (rule && rule.choice !== "block") return [headline(rule.edit || rule.target, true, source), make("p", "A rule for everybody.")];
    if (rule) return [headline("", false, source), make("p", "A person has blocked this rewrite in review.")];
    return [make("p", "No rule on this page has this text. The page itself knows only its rules: rewriter explain, or the console of rewriter serve, also asks the online layer.")];
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const source = form.elements.text.value;
    if (!source.trim()) { form.elements.text.focus(); return; }
    if (!data.asks) { answer.replaceChildren(...fromRules(source)); return; }
    answer.replaceChildren(make("p", "…"));
    try {
      const found = await post("/console/ask", {
        text: source, user_id: form.elements.user.value || null, locale: form.elements.locale.value || null,
        after_failure: form.elements.late.checked,
      });
      const parts = [headline(found.text, found.applied, source), make("p", found.meaning)];
      if (found.suggestion) { const line = make("p", "Did you mean: "); line.append(quoted(found.suggestion)); parts.push(line); }
      parts.push(...found.sentences.map((text) => make("p", text, { class: "note", dir: "auto" })));
      parts.push(...found.tables.map((of) => { const wide = make("div", undefined, { class: "wide" }); wide.append(table(of)); return wide; }));
      answer.replaceChildren(...parts);
    } catch (error) {
      answer.replaceChildren(make("p", error.message, { class: "alert", role: "alert" }));
    }
  });

  // --- Find rules.
  const filter = document.getElementById("filter");
  if (filter) filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    let shown = 0;
    for (const item of document.querySelectorAll("ul.rules > li")) {
      const rule = byId.get(item.dataset.rule);
      const fits = `${rule.source} ${rule.target} ${rule.choice}`.toLowerCase().includes(wanted);
      item.classList.toggle("hidden", !fits);
      shown += fits;
    }
    document.getElementById("shown").textContent = `${shown} shown`;
  });

  // --- Graphs, drawn by the service when they are wanted.
  for (const details of document.querySelectorAll("details[data-graph]")) {
    details.addEventListener("toggle", async () => {
      const place = details.querySelector(".graph");
      if (!details.open || !place || place.childElementCount) return;
      const rule = byId.get(details.dataset.graph);
      try {
        const found = await post("/console/graph", { rule: rule.id });
        if (!found.svg) { place.append(make("p", "There is nothing to draw.", { class: "note" })); return; }
        const picture = new DOMParser().parseFromString(found.svg, "image/svg+xml").documentElement;
        picture.setAttribute("role", "img");
        picture.setAttribute("aria-label", `What people said after “${rule.source}”`);
        place.replaceChildren(document.importNode(picture, true));
      } catch (error) {
        place.replaceChildren(make("p", error.message, { class: "alert", role: "alert" }));
      }
    });
  }

  // --- Decide.
  const words = { approve: "approved", block: "blocked", edit: "edited" };

  function show(item, rule) {
    const pill = item.querySelector(".review");
    pill.className = `pill review ${rule.choice}`;
    pill.textContent = words[rule.choice] || "not reviewed";
    item.classList.toggle("blocked", rule.choice === "block");
    const edited = item.querySelector(".edited");
    edited.replaceChildren();
    if (rule.choice === "edit") edited.append(" is sent as ", quoted(rule.edit));
  }

  async function decide(item, rule, choice, text, note) {
    const buttons = item.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    try {
      const found = await post("/console/review", { rule: rule.id, choice, text, note });
      Object.assign(rule, { choice: found.choice, edit: found.choice === "edit" ? found.target : "" });
      show(item, rule);
      said.textContent = `${words[choice]}: ${rule.source}. It holds from the next request on.`;
      return true;
    } catch (error) {
      said.textContent = `Not done: ${error.message}`;
      return false;
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  function ask(item, rule, choice, button) {
    for (const old of item.querySelectorAll(".decide")) old.remove();
    const name = `${choice}-${rule.id}`;
    const inner = make("form", undefined, { class: "decide" });
    const field = (id, label, value) => {
      const input = make("input", undefined, { type: "text", id, dir: "auto" });
      input.value = value;
      inner.append(make("label", label, { for: id }), input);
      return input;
    };
    const text = choice === "edit" ? field(`${name}-text`, "Send this text instead", rule.edit || rule.target) : null;
    const note = field(`${name}-note`, "Why (optional, kept beside the decision)", "");
    const line = make("div", undefined, { class: "actions" });
    const cancel = make("button", "Cancel", { type: "button" });
    line.append(make("button", choice === "edit" ? "Send this text" : "Block this rewrite", { class: "main" }), cancel);
    inner.append(line);
    const close = () => { inner.remove(); button.focus(); };
    cancel.addEventListener("click", close);
    inner.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
    inner.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await decide(item, rule, choice, text ? text.value : "", note.value)) close();
    });
    button.closest(".actions").after(inner);
    (text || note).focus();
  }

  for (const item of document.querySelectorAll("ul.rules > li")) {
    const rule = byId.get(item.dataset.rule);
    for (const button of item.querySelectorAll("button[data-choice]")) {
      const { choice } = button.dataset;
      button.addEventListener("click", () => (choice === "approve" ? decide(item, rule, choice, "", "") : ask(item, rule, choice, button)));
    }
  }
})();
