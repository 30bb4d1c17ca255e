"use strict";
// Makes the page from openapi.json. Text goes in as text, never as markup.
(function () {
  let spec;

  function el(name, text, cls) {
    const e = document.createElement(name);
    if (text !== undefined) e.textContent = text;
    if (cls) e.className = cls;
    return e;
  }

  function resolve(x) {
    while (x && x.$ref)
      x = x.$ref.slice(2).split("/").reduce((at, key) => at && at[key.replace(/~1/g, "/").replace(/~0/g, "~")], spec);
    return x || {};
  }

  function typeOf(schema) {
    if (!schema) return "";
    if (schema.$ref) return schema.$ref.split("/").pop();
    if (schema.enum) return schema.enum.join(" | ");
    if (schema.oneOf || schema.anyOf) return (schema.oneOf || schema.anyOf).map(typeOf).join(" or ");
    if (schema.type === "array") return typeOf(schema.items) + "[]";
    return [].concat(schema.type || "any").join(" or ");
  }

  function table(heads, rows) {
    const t = el("table"), head = el("tr");
    heads.forEach((h) => { const c = el("th", h); c.scope = "col"; head.append(c); });
    t.append(head);
    rows.forEach((r) => {
      const line = el("tr");
      r.forEach((c) => { const cell = el("td"); cell.append(c); line.append(cell); });
      t.append(line);
    });
    return t;
  }

  function schemaLink(schema) {
    const text = typeOf(schema), name = text.replace(/\[\]$/, "");
    if (!spec.components.schemas[name]) return text;
    const a = el("a", text);
    a.href = "#schema-" + name;
    return a;
  }

  function content(of) {
    const kinds = Object.entries(of.content || {});
    return kinds.length === 0 ? "" : schemaLink(kinds[0][1].schema);
  }

  function operation(path, verb, o) {
    const d = el("details"), s = el("summary");
    s.append(el("span", verb.toUpperCase(), "verb"), " ", el("code", path), " ", el("span", o.summary || "", "note"));
    d.append(s);
    if (o.description) d.append(el("p", o.description));
    const args = (o.parameters || []).map(resolve);
    if (args.length)
      d.append(table(["argument", "in", "type", ""], args.map((p) =>
        [el("code", p.name), p.in + (p.required ? ", required" : ""), typeOf(p.schema), p.description || ""])));
    const body = resolve(o.requestBody);
    if (body.content) {
      const p = el("p", "Body: ");
      p.append(content(body));
      d.append(p);
    }
    d.append(table(["status", "body", ""], Object.entries(o.responses).map(([status, r]) => {
      r = resolve(r);
      return [status, content(r), r.description || ""];
    })));
    d.dataset.text = (verb + " " + path + " " + (o.summary || "")).toLowerCase();
    return d;
  }

  function schema(name, of) {
    const d = el("details"), s = el("summary");
    d.id = "schema-" + name;
    d.dataset.text = name.toLowerCase();
    s.append(el("code", name));
    d.append(s);
    if (of.description) d.append(el("p", of.description));
    const needed = of.required || [];
    const members = Object.entries(of.properties || {});
    if (members.length)
      d.append(table(["member", "type", ""], members.map(([k, v]) =>
        [el("code", k), schemaLink(v), (needed.includes(k) ? "always. " : "") + (v.description || "")])));
    else
      d.append(el("p", typeOf(of)));
    return d;
  }

  function section(title, note, items) {
    const s = el("section");
    s.append(el("h2", title));
    if (note) s.append(el("p", note, "note"));
    s.append(...items);
    return s;
  }

  function show() {
    const main = document.getElementById("main"), all = [];
    document.getElementById("about").textContent = spec.info.description;
    Object.entries(spec.paths).forEach(([path, item]) => Object.entries(item).forEach(([verb, o]) => {
      if (o.responses) all.push({ tag: (o.tags || [""])[0], node: operation(path, verb, o) });
    }));
    spec.tags.forEach((t) => {
      main.append(section(t.name, t.description, all.filter((o) => o.tag === t.name).map((o) => o.node)));
    });
    main.append(section("Schemas", "", Object.entries(spec.components.schemas).map(([n, s]) => schema(n, s))));
  }

  function open_target() {
    const at = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (at && at.tagName === "DETAILS") { at.open = true; at.scrollIntoView(); }
  }

  document.getElementById("find").addEventListener("input", (e) => {
    const words = e.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    document.querySelectorAll("details").forEach((d) => {
      d.hidden = !words.every((w) => d.dataset.text.includes(w));
    });
    document.querySelectorAll("section").forEach((s) => {
      s.hidden = words.length > 0 && !s.querySelector("details:not([hidden])");
    });
  });
  window.addEventListener("hashchange", open_target);

  fetch("openapi.json").then((r) => r.json()).then((d) => { spec = d; show(); open_target(); }).catch((e) => {
    document.getElementById("about").textContent = "openapi.json could not be read: " + e;
  });
})();
