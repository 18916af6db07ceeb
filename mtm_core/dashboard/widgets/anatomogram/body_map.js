// Organs as buttons. The shapes stay when only what is chosen changes, so that the focus stays too.
export default function ({ data, parentElement, setTriggerValue }) {
    const root = parentElement.querySelector(".drawings");
    if (root.dataset.shown !== data.shown) {
        root.dataset.shown = data.shown;
        root.replaceChildren();
        for (const { name, svg } of data.drawings) {
            root.insertAdjacentHTML("beforeend", svg);
            const drawing = root.lastElementChild;
            drawing.setAttribute("role", "group");
            drawing.setAttribute("aria-label", name);
        }
    }
    for (const shape of root.querySelectorAll("[data-organ]")) {
        const organ = data.organs[shape.dataset.organ];
        shape.toggleAttribute("hidden", !organ);
        if (!organ) continue;
        shape.setAttribute("role", "button");
        shape.setAttribute("tabindex", "0");
        shape.setAttribute("aria-label", organ.label);
        shape.setAttribute("aria-pressed", organ.pressed);
        const title =
            shape.querySelector("title") ??
            shape.insertBefore(
                document.createElementNS("http://www.w3.org/2000/svg", "title"),
                shape.firstChild,
            );
        title.textContent = organ.label;
        const press = () => setTriggerValue("organ", shape.dataset.organ);
        shape.onclick = press;
        shape.onkeydown = (event) => {
            if (event.key === "Enter" || event.key === " ") {
                event.preventDefault(); // a space would scroll the page
                press();
            }
        };
    }
}
