"use strict";
// The gallery of a report. Rows are JSON in script elements that nothing executes (scanner/html/report.py says how);
// whatever comes from them is set as text or as an attribute, never as markup.
(() => {
  const PAGE = 60;
  const $ = (id) => document.getElementById(id);
  const form = document.querySelector(".toolbar");
  const boxes = [...form.elements.verdict];
  const verdicts = boxes.map((box) => box.value);
  const marked = form.elements.marked; // there is one if any picture says itself that it was generated
  const gallery = $("gallery");
  const number = new Intl.NumberFormat("en");

  document.documentElement.classList.add("scripted");
  const rows = read();
  const orders = { scan: rows, score: sorted(-1), low: sorted(1) };
  let found = [];
  let page = 0;
  let open = null; // the row whose details are shown

  function read() {
    const all = [];
    let folder = "";
    let base = "";
    for (const block of document.querySelectorAll("script.rows")) {
      for (const item of JSON.parse(block.textContent)) {
        if (item.length === 2) [folder, base] = item;
        else {
          const [name, verdict, score, segment = 1, detail = {}] = item;
          const last = segment === 1 ? encodeURIComponent(name) : segment;
          all.push({ number: all.length, folder, name, verdict: verdicts[verdict], score, base, last, detail });
        }
      }
      block.remove();
    }
    return all;
  }

  function sorted(direction) {
    const known = rows.filter((row) => row.score !== null).sort((a, b) => direction * (a.score - b.score));
    return known.concat(rows.filter((row) => row.score === null));
  }

  function text(row) {
    return (row.text ??= `${pathOf(row)}\n${row.detail.reason ?? ""}`.toLowerCase());
  }

  function pathOf(row) {
    return row.folder && !row.folder.endsWith("/") ? `${row.folder}/${row.name}` : row.folder + row.name;
  }

  function marksOf(row) {
    return row.detail.provenance?.marks ?? [];
  }

  function isMarked(row) {
    return marksOf(row).some((mark) => mark.means === marked.value);
  }

  function isIn(folder, chosen) {
    return folder === chosen || (chosen !== "" && folder.startsWith(chosen.endsWith("/") ? chosen : `${chosen}/`));
  }

  function filter() {
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const folder = form.elements.folder.value;
    const words = form.elements.search.value.toLowerCase().trim();
    const low = form.elements.low.valueAsNumber;
    const high = form.elements.high.valueAsNumber;
    const bounded = !Number.isNaN(low) || !Number.isNaN(high);
    found = orders[form.elements.order.value].filter(
      (row) =>
        (wanted.has(row.verdict) || (marked?.checked && isMarked(row))) &&
        (folder === "*" || isIn(row.folder, folder.slice(1))) &&
        (!bounded || (row.score !== null && !(row.score < low) && !(row.score > high))) &&
        (!words || text(row).includes(words)),
    );
    page = 0;
    show();
  }

  function show() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    $("found").textContent = `${number.format(found.length)} of ${number.format(rows.length)} pictures`;
    $("page").textContent = `page ${number.format(page + 1)} of ${number.format(pages)}`;
    for (const id of ["previous", "previous-below"]) $(id).disabled = page === 0;
    for (const id of ["next", "next-below"]) $(id).disabled = page + 1 >= pages;
    gallery.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(card));
    if (!found.length) gallery.append(element("li", { className: "quiet", textContent: "Nothing matches." }));
  }

  function turn(by, focusLast = false) {
    const to = page + by;
    if (to < 0 || to * PAGE >= found.length) return false;
    page = to;
    show();
    focus(focusLast ? -1 : 0);
    return true;
  }

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children.filter(Boolean));
    return made;
  }

  function isolated(words) {
    return element("bdi", { textContent: words });
  }

  function link(row, properties, ...children) {
    const there = row.last ? { href: `${row.base}/${row.last}`, target: "_blank", rel: "noopener noreferrer" } : null;
    return there ? element("a", { ...there, ...properties }, ...children) : element("span", properties, ...children);
  }

  function thumbnail(row) {
    const kept = $(`t${row.number}`);
    return kept && element("img", { alt: "", src: `data:image/jpeg;base64,${kept.textContent}` });
  }

  function card(row) {
    const image = thumbnail(row);
    const open = element("button", { type: "button", textContent: "Details", onclick: () => detail(row) });
    open.setAttribute("aria-label", `Details of ${row.name}`);
    const item = element(
      "li",
      { tabIndex: -1 },
      image && link(row, { className: "picture", tabIndex: -1 }, image),
      element("p", { className: "line" }, verdict(row), score(row), open),
      row.verdict === "error" && element("span", { className: "reason", textContent: row.detail.reason }),
      element("span", { className: "name", title: pathOf(row) }, link(row, {}, isolated(row.name))),
      row.folder && element("span", { className: "folder", title: row.folder }, isolated(row.folder)),
      ...marksOf(row)
        .slice(0, 2)
        .map((mark) => element("span", { className: `mark ${mark.means}`, textContent: describe(mark) })),
    );
    image?.parentElement.setAttribute("aria-hidden", "true"); // the name below is the same link
    item.row = row;
    return item;
  }

  function verdict(row) {
    return element("span", { className: row.verdict, textContent: row.verdict.replace("_", " ") });
  }

  function score(row) {
    return row.score !== null && element("strong", { className: row.verdict, textContent: row.score.toFixed(4) });
  }

  // What a file says of its own origin, in a line.
  function describe(mark) {
    return [mark.means, mark.generator ?? mark.value].filter((part) => typeof part === "string").join(": ");
  }

  function detail(row) {
    open = row;
    $("detail-title").replaceChildren(isolated(row.name));
    const facts = { path: pathOf(row), verdict: row.verdict, p_fake: row.score ?? undefined, ...row.detail };
    const image = thumbnail(row);
    $("detail-body").replaceChildren(
      ...(image ? [image] : []),
      list(facts),
      element("p", {}, row.last ? link(row, { textContent: "Open the file" }) : "This page has no link to it."),
    );
    if (!$("detail").open) $("detail").showModal();
  }

  function list(facts) {
    const made = element("dl", { className: "facts" });
    for (const [name, value] of Object.entries(facts)) {
      if (value === null || value === undefined) continue;
      made.append(element("dt", { textContent: name }), element("dd", {}, valueOf(value)));
    }
    return made;
  }

  function valueOf(value) {
    if (Array.isArray(value) && value.some((one) => one !== null && typeof one === "object"))
      return element("div", {}, ...value.map(valueOf));
    if (Array.isArray(value)) return isolated(value.join(", "));
    return value !== null && typeof value === "object" ? list(value) : isolated(String(value));
  }

  // Keys

  function current() {
    return [...gallery.children].findIndex((item) => item.contains(document.activeElement));
  }

  function focus(at) {
    const item = [...gallery.children].at(at);
    const target = item?.querySelector(".name a") ?? item;
    target?.focus({ preventScroll: true });
    item?.scrollIntoView({ block: "nearest" });
  }

  function columns() {
    return getComputedStyle(gallery).gridTemplateColumns.split(" ").length;
  }

  function move(by) {
    const at = current();
    const to = at < 0 ? 0 : at + by;
    if (to < 0) turn(-1, true);
    else if (to >= gallery.children.length) turn(1);
    else focus(to);
  }

  function flip(by) {
    const next = found[found.indexOf(open) + by];
    if (!next) return;
    const there = Math.floor(found.indexOf(next) / PAGE);
    if (there !== page) {
      page = there;
      show();
    }
    detail(next);
  }

  const steps = { j: 1, k: -1, ArrowRight: 1, ArrowLeft: -1 };
  const anywhere = {
    n: () => turn(1),
    p: () => turn(-1),
    "/": () => form.elements.search.focus(),
    "?": () => $("help").showModal(),
  };
  const onPicture = {
    ArrowDown: () => move(columns()),
    ArrowUp: () => move(-columns()),
    ArrowRight: () => move(1),
    ArrowLeft: () => move(-1),
    PageDown: () => turn(1),
    PageUp: () => turn(-1),
    d: () => detail(gallery.children[current()].row),
  };

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (key === "Escape" && target === form.elements.search) return focus(0);
    if (target.matches("input:not([type=checkbox]), select")) return;
    if (key.length === 1 && !$("letters").checked) return;
    let action;
    if ($("detail").open) action = key in steps && (() => flip(steps[key]));
    else if ($("help").open) return;
    else
      action =
        (key === "j" && (() => move(1))) ||
        (key === "k" && (() => move(-1))) ||
        anywhere[key] ||
        (current() >= 0 && found.length && onPicture[key]);
    if (!action) return;
    event.preventDefault();
    action();
  });

  // Controls

  $("detail").addEventListener("close", () => {
    const at = found.indexOf(open) - page * PAGE;
    if (at >= 0) focus(at);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  $("previous").onclick = () => turn(-1);
  $("next").onclick = () => turn(1);
  $("previous-below").onclick = () => turn(-1);
  $("next-below").onclick = () => turn(1);
  $("keys").onclick = anywhere["?"];
  $("clear").onclick = () => {
    form.reset();
    filter();
  };

  // A folder or a reason in the tables is a filter.
  for (const anchor of document.querySelectorAll("a[data-folder], a[data-reason]")) {
    anchor.addEventListener("click", () => {
      form.reset();
      const { folder, reason } = anchor.dataset;
      if (folder !== undefined) form.elements.folder.value = `=${folder}`;
      else {
        for (const box of boxes) box.checked = box.value === "error";
        form.elements.search.value = reason;
      }
      filter();
    });
  }

  filter(); // the browser may have kept what was filled in before
})();
