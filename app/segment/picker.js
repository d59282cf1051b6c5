// The model picker: a native menu whose choice is the component's value.
const choose = () => {
  const field = element.querySelector("select");
  if (field) field.value = props.value ?? "";
};
element.addEventListener("change", ({ target }) => {
  if (target.tagName !== "SELECT") return;
  props.value = target.value;
  trigger("select", { value: target.value });
});
watch(["value", "menu"], choose);
choose();
