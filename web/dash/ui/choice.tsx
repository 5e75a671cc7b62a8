/** One of a few, side by side. */
export function Choice({ name, value, of, set }: { name: string; value: string; of: [string, string][]; set: (x: string) => void }) {
  return (
    <div class="segments" role="group" aria-label={name}>
      {of.map(([x, title]) => (
        <button type="button" aria-pressed={x == value} onClick={() => set(x)}>
          {title}
        </button>
      ))}
    </div>
  );
}
