import type { ComponentChildren as Children } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { usePlace } from "../lib/place";
import { ThemeButton } from "./theme";

export const menu: [string, [string, string][]][] = [
  ["See", [["/", "Overview"], ["/compare", "Compare"], ["/catchments", "Catchments"], ["/offenders", "Offenders"], ["/stability", "Stability"], ["/resolvers", "Resolvers"]]],
  ["Act", [["/ramps", "Ramps"], ["/pops", "PoPs"], ["/whatif", "What-if"]]],
  ["Ask", [["/explain", "Explain"], ["/docs", "Docs"]]],
];

export const Mark = () => (
  <svg viewBox="0 0 32 32" aria-hidden="true">
    <path fill="currentColor" d="M16 2C8 10 5 14 5 19a11 11 0 0 0 22 0c0-5-3-9-11-17z" />
    <path fill="none" stroke="var(--panel)" stroke-width="2.2" stroke-linecap="round" d="M16 26v-6m0 0-5-5m5 5 5-5m-5 5v-9" />
  </svg>
);

/** What is around every page: the way past it, the menu, who is logged in. */
export function Frame({ who, role, logout, children }: { who: string; role: string; logout?: () => void; children: Children }) {
  const { path } = usePlace();
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    // A new page begins at its heading, for those who do not see it change.
    if (!first.current) main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);
  const current = (to: string) => (to == "/" ? path == "/" : path == to || path.startsWith(to + "/"));
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), main.current?.focus())}>
        Skip to the page
      </a>
      <div class="frame">
        <div class={"side" + (open ? " open" : "")}>
          <div class="top">
            <a class="brand" href="/">
              <Mark /> Catchment
            </a>
            <button class="menu-button" aria-expanded={open} aria-controls="menu" onClick={() => setOpen(!open)}>
              Menu
            </button>
          </div>
          <nav class="main" id="menu" aria-label="Pages">
            <div class="groups">
              {menu.map(([title, pages]) => (
                <div>
                  <h2>{title}</h2>
                  <ul>
                    {pages.map(([to, name]) => (
                      <li>
                        <a href={to} aria-current={current(to) ? "page" : undefined}>
                          {name}
                        </a>
                      </li>
                    ))}
                  </ul>
                </div>
              ))}
            </div>
          </nav>
          <div class="foot">
            <span class="who" title={`${who}, ${role}`}>
              {who} <small>{role}</small>
            </span>
            <ThemeButton />
            {logout && (
              <button class="ghost" onClick={logout}>
                Log out
              </button>
            )}
          </div>
        </div>
        <main id="main" tabIndex={-1} ref={main}>
          {children}
        </main>
      </div>
    </>
  );
}
