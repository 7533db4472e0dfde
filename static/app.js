// What HTML and htmx cannot do by themselves. Every page works without it.
(() => {
  "use strict";
  const base = document.body.dataset.base || "";
  const on = (name, act) => document.addEventListener(name, act);

  // A question that htmx fetched opens as a modal; without scripts it is a page of its own.
  const settle = () => {
    const dialog = document.querySelector("#dialogs dialog:not([open])");
    if (dialog) {
      dialog.showModal();
      dialog.addEventListener("close", () => dialog.remove());
    }
    // A form that came back shows its faults first.
    const first = document.querySelector("[data-focus]:not([data-seen])");
    if (first) {
      first.dataset.seen = "";
      first.focus();
    }
    document.querySelectorAll(".toast:not([data-seen])").forEach((toast) => {
      toast.dataset.seen = "";
      if (toast.dataset.tone !== "bad") fade(toast, 6000);
    });
    document.querySelectorAll("[data-countdown]:not([data-seen])").forEach(countdown);
    presets();
  };

  // Goes after a while, but not under the pointer.
  const fade = (toast, after) => setTimeout(() => (toast.matches(":hover, :focus-within") ? fade(toast, 2000) : toast.remove()), after);

  const countdown = (element) => {
    element.dataset.seen = "";
    let left = Number(element.dataset.countdown);
    const timer = setInterval(() => {
      left -= 1;
      element.textContent = left > 0 ? `${left} s` : "now";
      if (left <= 0) clearInterval(timer);
    }, 1000);
  };

  // Which ready-made text a field holds.
  const presets = () => document.querySelectorAll("[data-fill]").forEach((button) => {
    button.setAttribute("aria-pressed", String(document.getElementById(button.dataset.fill)?.value.trim() === button.value));
  });

  // A look at the password that was typed.
  document.querySelectorAll("[data-show-toggle]").forEach((input) => {
    const row = document.createElement("div");
    const button = document.createElement("button");
    row.className = "reveal";
    button.type = "button";
    button.textContent = "Show";
    button.setAttribute("aria-controls", input.id);
    button.addEventListener("click", () => {
      const hidden = input.type === "password";
      input.type = hidden ? "text" : "password";
      button.textContent = hidden ? "Hide" : "Show";
    });
    const focused = document.activeElement === input;
    input.replaceWith(row);
    row.append(input, button);
    if (focused) input.focus();
  });

  // A file is read into the text field it belongs to, which is what is sent.
  document.querySelectorAll("[data-pick]").forEach((row) => {
    const input = row.querySelector("input");
    row.hidden = false;
    input.addEventListener("change", async () => {
      const file = input.files[0];
      const large = file?.size > 1048576;
      input.setCustomValidity(large ? "At most 1 MiB. Leave out the years that have passed." : "");
      if (!file || large) return input.reportValidity();
      const field = document.getElementById(row.dataset.pick);
      field.value = await file.text();
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
  });

  // Setup asks for the zone; the browser knows it.
  const zone = document.querySelector("form[action$='/setup'] [name=timezone]");
  if (zone && !zone.value) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";

  on("click", (event) => {
    const preset = event.target.closest("[data-fill]");
    const filled = preset && document.getElementById(preset.dataset.fill);
    if (filled) {
      event.preventDefault();
      filled.value = preset.value;
      filled.dispatchEvent(new Event("input", { bubbles: true }));
    }
    // Plain http has no clipboard.
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const text = document.getElementById(copy.dataset.copy);
      getSelection().selectAllChildren(text);
      navigator.clipboard?.writeText(text.textContent).then(() => { copy.textContent = "Copied"; });
    }
    event.target.closest("[data-close]")?.closest(".toast").remove();
    // A click on the backdrop is a click on the dialog itself, outside its form.
    if (event.target.matches("dialog[open]")) event.target.close();
  });
  on("input", presets);

  // An unsaved form asks before it is left.
  let unsaved = false;
  on("input", (event) => { unsaved ||= Boolean(event.target.closest("form[data-guard]")); });
  on("submit", (event) => { if (event.target.matches("[data-guard]")) unsaved = false; });
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });

  // The login ended while the page was open.
  on("htmx:response:error", (event) => {
    const response = event.detail?.ctx?.response;
    if (response?.status === 401) location.assign(`${base}/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  });
  on("htmx:error", (event) => {
    const ctx = event.detail?.ctx;
    if (ctx?.response || document.querySelector("#toasts [data-offline]")) return;
    const toast = document.createElement("div");
    Object.assign(toast.dataset, { tone: "warn", offline: "" });
    toast.className = "toast";
    toast.textContent = "DockNap does not answer. Check the connection; what you typed is still here.";
    document.getElementById("toasts").append(toast);
    settle();
  });
  on("htmx:after:swap", settle);
  settle();
})();
