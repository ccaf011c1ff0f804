// The contents follow the reader, and are a menu on narrow screens; folds open for a link into them, and for print.
function startContents() {
  const nav = document.querySelector("body > nav");
  openFoldOfTarget();
  addEventListener("hashchange", openFoldOfTarget);
  addEventListener("beforeprint", openFindings);
  if (!nav) return;
  const menu = nav.querySelector(".menu");
  const fold = (open) => menu.setAttribute("aria-expanded", String(open));
  menu.addEventListener("click", () => fold(menu.getAttribute("aria-expanded") !== "true"));
  nav.addEventListener("click", (event) => {
    if (event.target.closest("a")) fold(false);
  });
  nav.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || menu.getAttribute("aria-expanded") !== "true") return;
    event.preventDefault();
    fold(false);
    menu.focus();
  });
  const links = [...nav.querySelectorAll("a")];
  const sections = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  let frame = 0;
  const follow = () => {
    frame = 0;
    let place = sections.findLastIndex((section) => section && section.getBoundingClientRect().top < innerHeight / 4);
    if (scrollY + innerHeight >= document.documentElement.scrollHeight - 4) place = sections.length - 1;
    links.forEach((link, index) => (index === place ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
    const current = links[place];
    if (current && nav.scrollHeight > nav.clientHeight) {
      nav.scrollTop = current.offsetTop - nav.clientHeight / 2;
    }
  };
  addEventListener("scroll", () => (frame ||= requestAnimationFrame(follow)), { passive: true });
  follow();
}

function openFoldOfTarget() {
  const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
}

function openFindings() {
  const opened = [...main.querySelectorAll(":is(#headline, #changes, #findings) details:not(.code, [open])")];
  opened.forEach((fold) => (fold.open = true));
  addEventListener("afterprint", () => opened.forEach((fold) => (fold.open = false)), { once: true });
}
