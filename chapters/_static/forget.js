/* <answer-clear>: says how many answers the browser keeps, and forgets them. */
customElements.define("answer-clear", class extends HTMLElement {
  connectedCallback() {
    const button = document.createElement("button"), said = document.createElement("p");
    const show = () => {
      let count = 0;
      try { count = Object.keys(JSON.parse(localStorage.getItem("answers")) ?? {}).length; } catch { }  // not ours
      said.textContent = count ? `This browser keeps ${count} answer${count > 1 ? "s" : ""} of yours.` : "This browser keeps no answer of yours.";
    };
    button.textContent = "Forget my answers";
    said.ariaLive = "polite";
    button.onclick = () => { localStorage.removeItem("answers"); show(); };
    this.replaceChildren(said, button);
    show();
  }
});
