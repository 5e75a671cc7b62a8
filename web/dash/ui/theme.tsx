import { useEffect, useState } from "preact/hooks";

type Choice = "auto" | "light" | "dark";
const key = "catchment-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const changed = new EventTarget();

const chosen = (): Choice => {
  const x = localStorage.getItem(key);
  return x == "light" || x == "dark" ? x : "auto";
};
const inForce = (): "light" | "dark" => (chosen() == "auto" ? (system.matches ? "dark" : "light") : (chosen() as "light"));

/** Puts the choice, or what the system prefers, into force. */
export function applyTheme() {
  document.documentElement.dataset.theme = inForce();
  changed.dispatchEvent(new Event("change"));
}
system.addEventListener("change", applyTheme);

/** The theme in force; what is drawn on a canvas is drawn again with it. */
export function useTheme() {
  const [theme, set] = useState(inForce);
  useEffect(() => {
    const on = () => set(inForce());
    changed.addEventListener("change", on);
    return () => changed.removeEventListener("change", on);
  }, []);
  return theme;
}

const next: Record<Choice, Choice> = { auto: "light", light: "dark", dark: "auto" };
const sign: Record<Choice, string> = { auto: "◐", light: "☀", dark: "☾" };

export function ThemeButton() {
  const [choice, set] = useState(chosen);
  const name = { auto: "as the system", light: "light", dark: "dark" }[choice];
  return (
    <button
      class="ghost"
      aria-label={`Colors: ${name}. Change`}
      title={`Colors: ${name}`}
      onClick={() => {
        const to = next[choice];
        if (to == "auto") localStorage.removeItem(key);
        else localStorage.setItem(key, to);
        set(to);
        applyTheme();
      }}
    >
      <span aria-hidden="true">{sign[choice]}</span>
    </button>
  );
}
