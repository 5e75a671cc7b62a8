import { useEffect, useState } from "preact/hooks";
import { Failure, forget, send } from "../lib/api";
import { Mark } from "../ui/frame";

/** A token is given once, for a cookie that scripts cannot read. */
export function Login({ done, reason }: { done: () => void; reason?: string }) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => void (document.title = "Log in · Catchment"), []);
  const submit = async (e: SubmitEvent) => {
    e.preventDefault();
    setBusy(true);
    setError("");
    try {
      await send("POST", "/api/v1/session", { token: String(new FormData(e.target as HTMLFormElement).get("token")).trim() });
      forget();
      done();
    } catch (x) {
      setError(x instanceof Failure && x.status == 401 ? "No token of this control node is like that." : (x as Error).message);
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <p class="brand">
        <Mark /> Catchment
      </p>
      <form onSubmit={submit}>
        <h1>Log in</h1>
        {reason && <p class="soft">{reason}</p>}
        <label class="field">
          <span>Token</span>
          <input name="token" type="password" required autoComplete="current-password" autoFocus aria-describedby="token-help" />
        </label>
        <p id="token-help" class="note">
          One of the role <code>operator</code>, who may change things, or <code>viewer</code>, from the control node’s file of tokens (<code>--tokens</code>).
        </p>
        {error && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        <button class="primary" disabled={busy}>
          Log in
        </button>
      </form>
    </main>
  );
}
