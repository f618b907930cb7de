// Fills the list of postings while they arrive.
const list = document.querySelector("[data-stream]");
if (list) {
  const source = new EventSource(list.dataset.stream);
  const add = (event) => {
    const item = document.createElement("li");
    item.textContent = event.data;
    list.append(item);
  };
  source.addEventListener("posting", add);
  source.addEventListener("close", (event) => {
    add(event);
    source.close();
  });
  source.addEventListener("error", () => source.close());
}
