// What HTML and htmx cannot do by themselves. Every page works without it.
(() => {
  "use strict";
  const { body } = document;
  const on = (name, act) => document.addEventListener(name, act);
  const find = (css, within = document) => within.querySelector(css);
  const each = (css, act) => document.querySelectorAll(css).forEach(act);

  // A question that htmx fetched opens as a modal; without scripts it is a page of its own.
  const settle = () => {
    const dialog = find("#dialogs dialog:not([open])");
    if (dialog) {
      dialog.showModal();
      // The button that has the focus is at its end; it is read from its beginning.
      dialog.scrollTop = 0;
      dialog.addEventListener("close", () => dialog.remove());
    }
    // A form that came back shows its faults first.
    const first = find("[data-focus]:not([data-seen])");
    if (first) {
      first.dataset.seen = "";
      first.focus();
    }
    each(".toast:not([data-seen])", (toast) => {
      // The same again takes the place of the first.
      each(".toast[data-seen]", (other) => other.textContent === toast.textContent && other.remove());
      toast.dataset.seen = "";
      if (toast.dataset.tone !== "bad") fade(toast, find("form", toast) ? 29000 : 6000);
    });
    each(".flash form", (form) => fade(form, 29000));
    each("[data-countdown]:not([data-seen])", countdown);
    unsaved ||= Boolean(find("[data-dirty]"));
    // One stop for the Tab key in a whole week.
    boxes().forEach((box, i) => { box.tabIndex = i ? -1 : 0; });
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

  // A look at the password that was typed.
  each("[data-show-toggle]", (input) => {
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
  each("[data-pick]", (row) => {
    const input = find("input", row);
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
  const zone = find("form[action$='/setup'] [name=timezone]");
  if (zone && !zone.value) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";

  on("click", (event) => {
    // Plain http has no clipboard: the text is picked, and the person copies it.
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const text = document.getElementById(copy.dataset.copy);
      text.select ? text.select() : getSelection().selectAllChildren(text);
      navigator.clipboard?.writeText(text.value ?? text.textContent).then(() => { copy.lastChild.textContent = "Copied"; });
    }
    event.target.closest("[data-close]")?.closest(".toast").remove();
    // A click on the backdrop is a click on the dialog itself, outside its form.
    if (event.target.matches("dialog[open]")) event.target.close();
    // For browsers that do not know commands yet.
    const opener = event.target.closest("[command='show-modal']");
    if (opener && !("command" in opener)) document.getElementById(opener.getAttribute("commandfor")).showModal();
  });

  // The week: the mouse paints, arrows move, Shift and arrows paint.
  const boxes = () => [...document.querySelectorAll(".week input")];
  const isBox = ({ target }) => target.matches(".week input");
  let pen = null;
  const paint = (box, asleep) => { if (box.checked !== asleep) box.click(); };
  on("pointerdown", (event) => {
    pen = event.pointerType === "mouse" && isBox(event) ? !event.target.checked : null;
    if (pen !== null) paint(event.target, pen);
  });
  on("pointerover", (event) => { if (pen !== null && event.buttons && isBox(event)) paint(event.target, pen); });
  on("click", (event) => { if (pen !== null && event.detail && isBox(event)) event.preventDefault(); });
  on("keydown", (event) => {
    const way = ["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"].indexOf(event.key);
    if (way < 0 || !isBox(event)) return;
    event.preventDefault();
    const all = boxes();
    // On a phone days are columns.
    const far = way % 2 === Number(all[0].offsetLeft === all[1].offsetLeft) ? 1 : 48;
    const next = all[all.indexOf(event.target) + (way < 2 ? -far : far)];
    if (!next) return;
    if (event.shiftKey) paint(next, event.target.checked);
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  // An unsaved form asks before it is left.
  let unsaved = false;
  on("input", (event) => { unsaved ||= Boolean(event.target.closest("form[data-guard]")); });
  on("submit", (event) => { if (event.target.matches("[data-guard]")) unsaved = false; });
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });

  // The login ended while the page was open.
  const login = (status) => {
    if (status === 401) location.assign(`${body.dataset.base}/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  };
  on("htmx:response:error", (event) => login(event.detail.ctx.response.status));
  on("htmx:sse:error", (event) => login(event.detail.status));

  // Without its stream of events a page fetches itself every 30 s and says since when.
  const mark = find("#not-live");
  let stream, since, timer;
  const lost = () => {
    wait(30000);
    if (document.hidden) return;
    mark.hidden = false;
    find("time", mark).textContent = since.toTimeString().slice(0, 5);
    // One that hangs is begun anew; one that never began begins at this event.
    stream?.reader?.cancel();
    body.dispatchEvent(new Event("resync"));
  };
  const wait = (time) => {
    clearTimeout(timer);
    timer = setTimeout(lost, time);
  };
  // At least the minutes are told.
  const heard = () => {
    since = new Date();
    wait(90000);
  };
  const broke = () => {
    if (stream) wait(10000);
    stream = 0;
  };
  on("htmx:sse:before:connection", broke);
  on("htmx:sse:close", broke);
  on("htmx:sse:after:connection", (event) => {
    stream = event.detail.connection;
    mark.hidden = true;
    heard();
  });
  on("htmx:sse:before:message", heard);
  if (body.hasAttribute("hx-sse:connect")) {
    heard();
    wait(10000);
  }

  // Keys. What leads somewhere is pressed where it stands, most of it in the list that "?" opens.
  let prefix = "";
  on("keydown", (event) => {
    const { key, target } = event;
    if (body.dataset.keys || event.ctrlKey || event.altKey || event.metaKey || target.closest("input:not([type=checkbox]), select, textarea, dialog")) return;
    const row = target.closest("[data-row]") || find(".power");
    const press = (css, within) => {
      const element = within && find(css, within);
      element?.click();
      return element;
    };
    const step = (by) => {
      const rows = [...document.querySelectorAll("[data-row]")];
      const next = rows[row ? rows.indexOf(row) + by : 0];
      if (next) find("a, button, summary", next).focus();
      return next;
    };
    const search = () => {
      const field = find("[type=search]");
      field?.focus();
      return field;
    };
    const acts = {
      "/": search,
      j: () => step(1),
      k: () => step(-1),
      x: () => press("[type=checkbox]", row),
      w: () => press("[data-act=wake], [data-act=start]", row),
      s: () => press("[data-act=nap], [data-act=stop]", row),
    };
    if (press(`[data-key="${CSS.escape(prefix + key)}"]`, document) || (!prefix && acts[key]?.())) event.preventDefault();
    prefix = key === "g" ? key : "";
  });

  on("htmx:error", (event) => {
    if (event.detail.ctx?.response || !mark.hidden) return;
    const toast = document.createElement("div");
    toast.className = "toast";
    toast.dataset.tone = "warn";
    toast.textContent = "DockNap does not answer. Check the connection; what you typed is still here.";
    find("#alerts").append(toast);
    settle();
  });
  on("htmx:after:swap", ({ target, detail }) => {
    settle();
    // A question that was answered in the corner is over; one that was answered wrongly is there again.
    const dialog = target.closest?.("#dialogs dialog[open]");
    const { status } = detail.ctx.response;
    if (!dialog || status === 422) return;
    if (status < 400 && find("[name=t]", dialog)) each(".pick :checked", (box) => { box.checked = false; });
    dialog.close();
  });
  settle();
})();
