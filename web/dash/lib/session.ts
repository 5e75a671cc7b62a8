import { createContext } from "preact";
import { useContext } from "preact/hooks";

/** Who looks at this, as the API says. */
export interface Session {
  id: string;
  role: string;
  csrf?: string;
}

export const SessionContext = createContext<Session>({ id: "", role: "viewer" });

/** What a button needs to be that changes something: viewers see it, and why it is off. */
export function useActing(): { disabled?: boolean; title?: string } {
  return useContext(SessionContext).role == "operator" ? {} : { disabled: true, title: "Needs a token of the role operator" };
}
