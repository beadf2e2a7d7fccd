/* Keys between slides, and what is too large for one is made to fit. */
const slides = [...document.querySelectorAll(".slide")];
const here = () => slides.findLastIndex(slide => slide.getBoundingClientRect().top < innerHeight / 2);
const steps = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Home: -Infinity, End: Infinity };
addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select, button") || !(event.key in steps)) return;
  event.preventDefault();
  const step = event.shiftKey && event.key === " " ? -1 : steps[event.key];
  slides[Math.min(Math.max(here() + step, 0), slides.length - 1)].scrollIntoView();
});
const fit = () => {
  for (const slide of slides) {
    const body = slide.querySelector(".body"), frame = body.querySelector(".explore-frame");
    const upright = matchMedia("(max-aspect-ratio: 1)").matches;
    const set = share => frame ? frame.style.width = `${100 * share}%` : body.style.zoom = share;
    set(1);
    const cut = () => [body, ...body.querySelectorAll(".katex-display")].some(box =>
      box.scrollWidth > box.clientWidth + 1 || (box === body && box.scrollHeight > box.clientHeight + 1));
    for (let share = 1; !upright && share > 0.3 && cut();) set(share *= 0.94);
  }
};
for (const slide of slides) slide.dataset.of = slides.length;
addEventListener("load", fit);
addEventListener("resize", fit);
