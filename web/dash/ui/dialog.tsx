import type { ComponentChildren as Children } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Failure, forget } from "../lib/api";

interface Props {
  title: string;
  /** The word on the button that does it. */
  verb: string;
  danger?: boolean;
  children?: Children;
  /** Does it; why is what the operator gave as the reason. */
  act: (why: string, form: FormData) => Promise<unknown>;
  close: () => void;
  done?: () => void;
}

/**
 * A question before an action, with the reason that goes into the audit trail.
 * Escape and Cancel do nothing; what the server refuses is told here, and the
 * dialog stays.
 */
export function Confirm({ title, verb, danger, children, act, close, done }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Failure>();
  useLayoutEffect(() => {
    const d = ref.current!;
    if (!d.open) d.showModal();
    return () => d.close();
  }, []);
  const submit = async (e: SubmitEvent) => {
    e.preventDefault();
    const form = new FormData(e.target as HTMLFormElement);
    setBusy(true);
    setError(undefined);
    try {
      await act(String(form.get("why")).trim(), form);
      forget();
      say(`${title}: done`);
      close();
      done?.();
    } catch (x) {
      setError(x instanceof Failure ? x : new Failure(0, String(x)));
      setBusy(false);
    }
  };
  return (
    <dialog ref={ref} aria-labelledby={id} onCancel={(e) => (e.preventDefault(), close())}>
      <form onSubmit={submit}>
        <h2 id={id}>{title}</h2>
        {children}
        <label class="field">
          <span>Why? It goes into the audit trail.</span>
          <input name="why" required maxLength={400} autoComplete="off" autoFocus />
        </label>
        {error && (
          <p class="error" role="alert">
            {error.message} {error.hint}
          </p>
        )}
        <div class="actions">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class={danger ? "danger" : "primary"} disabled={busy}>
            {busy ? "…" : verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}

/** Says something to screen readers and, for a while, at the foot of the page. */
export function say(text: string) {
  const at = document.getElementById("said");
  if (!at) return;
  at.textContent = text;
  setTimeout(() => at.textContent == text && (at.textContent = ""), 6000);
}

/** Copies text; says so. */
export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea"); // over plain http there is no clipboard
      area.value = text;
      area.className = "visually-hidden";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setDone(true);
    say("Copied");
    setTimeout(() => setDone(false), 2000);
  };
  return (
    <button type="button" onClick={copy}>
      {done ? "Copied ✓" : label}
    </button>
  );
}
