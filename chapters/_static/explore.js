/* The page's side of course.explore: a control moved shows its frame of the picture, its value and its sentence. */
for (const figure of document.querySelectorAll("figure.explore")) {
  const [rows, columns] = figure.dataset.shape.split(" ").map(Number);
  const said = JSON.parse(figure.dataset.said);
  const controls = [...figure.querySelectorAll("input, select")];
  const pictures = figure.querySelectorAll(":scope > .explore-frame > img");  // by day and by night
  const sentence = figure.querySelector(".explore-said");

  const show = () => {
    const [row, column = 0] = controls.map(control => Number(control.value));
    for (const picture of pictures) {
      const size = name => Number(picture.getAttribute(name));  // of all frames
      const tall = 100 * (size("height") / rows) / (size("width") / columns);  // a frame, in % of its width
      picture.style.margin = `${-tall * row}% 0 ${-tall * (rows - 1 - row)}% ${-100 * column}%`;
    }
    if (sentence) sentence.textContent = said[row * columns + column];
    for (const control of controls.filter(control => control.dataset.values)) {
      const value = JSON.parse(control.dataset.values)[control.value];
      control.parentElement.nextElementSibling.textContent = value;
      control.setAttribute("aria-valuetext", value);
    }
  };
  for (const control of controls) control.addEventListener("input", show);
  const panel = figure.querySelector(".explore-controls");
  panel.hidden = false;
  if (!pictures.length) continue;
  const larger = document.createElement("button");  // on a phone, see book.css
  Object.assign(larger, { type: "button", className: "explore-larger", textContent: "Larger picture", ariaPressed: "false" });
  larger.onclick = () => { larger.ariaPressed = figure.classList.toggle("large"); };
  panel.append(larger);
}
