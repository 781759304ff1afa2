// Keeps what a page shows up to date, where it has a part that is marked by data-live with a number of seconds:
// the page is fetched again, and what differs is changed in place. Without this script nothing is missing but that.
"use strict";
(() => {
  const part = () => document.querySelector("[data-live]");

  // Whoever fills in a form, or has selected a text to copy it, is not to be disturbed.
  const isBusy = (live) => {
    const active = document.activeElement;
    const selection = document.getSelection();
    const selects = selection && !selection.isCollapsed && live.contains(selection.anchorNode);
    return selects || (live.contains(active) && active.closest("form") !== null);
  };

  const change = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const [has, wants] = [[...old.childNodes], [...fresh.childNodes]];
    wants.forEach((child, at) => (at < has.length ? change(has[at], child) : old.append(child)));
    has.slice(wants.length).forEach((child) => child.remove());
  };

  const look = async (live) => {
    const answer = await fetch(location.href, { cache: "no-store", credentials: "same-origin" });
    if (answer.status === 429 || answer.status >= 500) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = answer.redirected ? null : page.getElementById(live.id);
    if (fresh === null) {
      // Another page: a consent has ended, or the session has.
      location.reload();
    } else if (!isBusy(live)) {
      change(live, document.adoptNode(fresh));
    }
  };

  const turn = async () => {
    const live = part();
    if (live === null) return;
    if (!document.hidden && !isBusy(live)) {
      const silent = document.getElementById("silent");
      try {
        await look(live);
        silent.hidden = true;
      } catch {
        silent.hidden = false;
      }
    }
    wait();
  };

  let timer = 0;
  const wait = () => {
    const live = part();
    clearTimeout(timer);
    if (live !== null) timer = setTimeout(turn, 1000 * Number(live.dataset.live));
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) wait();
  });
  wait();
})();
