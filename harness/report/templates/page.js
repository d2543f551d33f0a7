"use strict";
for (const box of document.querySelectorAll(".repro")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy the command");
  button.addEventListener("click", async () => {
    const code = box.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
  });
  box.append(button);
}
const filters = document.querySelector(".filters");
if (filters) {
  filters.hidden = false;
  const words = filters.querySelector("input[type=search]");
  const statuses = [...filters.querySelectorAll("input[type=checkbox]")];
  const shown = filters.querySelector("output");
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const allowed = new Set(statuses.filter((box) => box.checked).map((box) => box.value));
    const fits = (item) =>
      allowed.has(item.dataset.status) && wanted.every((word) => item.dataset.text.toLowerCase().includes(word));
    let count = 0;
    for (const row of document.querySelectorAll("#cells tbody tr")) {
      row.hidden = !fits(row);
      count += !row.hidden;
    }
    for (const row of document.querySelectorAll(".grid tbody tr")) {
      let any = false;
      for (const link of row.querySelectorAll("a[data-status]")) {
        const fit = fits(link);
        link.style.opacity = fit ? "" : "0.15";
        any ||= fit;
      }
      row.hidden = !any;
    }
    shown.textContent = `${count} shown`;
  };
  filters.addEventListener("input", apply);
  apply();
}
for (const head of document.querySelectorAll("#cells thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const key = (row) => row.cells[head.cellIndex].dataset.key ?? row.cells[head.cellIndex].textContent.trim();
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      const [m, n] = [Number(x), Number(y)];
      const order = x !== "" && y !== "" && !isNaN(m) && !isNaN(n) ? m - n : x.localeCompare(y);
      return up ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}
