(() => {
  "use strict";
  const root = document.documentElement;
  const theme = document.querySelector("[data-theme-button]");
  if (theme) {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const say = () => {
      const now = root.dataset.theme || (dark.matches ? "dark" : "light");
      theme.textContent = now === "dark" ? "Light" : "Dark";
    };
    theme.hidden = false;
    theme.addEventListener("click", () => {
      const now = root.dataset.theme || (dark.matches ? "dark" : "light");
      root.dataset.theme = now === "dark" ? "light" : "dark";
      say();
    });
    say();
  }

  for (const table of document.querySelectorAll("table[data-sort]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => {
          const text = row.cells[column].dataset.value;
          const number = parseFloat(text);
          return Number.isNaN(number) ? -Infinity : number;
        };
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => (up ? key(a) - key(b) : key(b) - key(a)));
        table.tBodies[0].append(...rows);
      });
    });
  }

  const picker = document.querySelector("[data-document]");
  const views = [...document.querySelectorAll("[data-view]")];
  const showDocument = () => {
    views.forEach((view) => { view.hidden = view.dataset.view !== picker.value; });
  };
  if (picker) {
    picker.addEventListener("change", showDocument);
    showDocument();
  }
  const boxes = [...document.querySelectorAll("[data-strategy-box]")];
  const showStrategies = () => {
    const chosen = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    document.querySelectorAll(".column").forEach((column) => {
      column.hidden = !chosen.has(column.dataset.strategy);
    });
  };
  boxes.forEach((box) => box.addEventListener("change", showStrategies));
  if (boxes.length) showStrategies();
  document.querySelectorAll("[data-script]").forEach((part) => { part.hidden = false; });

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => { opened.forEach((part) => { part.open = false; }); });
})();
