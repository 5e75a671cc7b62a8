import { geoPath } from "d3-geo";
import { useRef, useState } from "preact/hooks";
import { classOf, type Classes } from "../lib/scale";
import { useTheme } from "../ui/theme";
import { navigate } from "../lib/place";
import { useShapes, type Extent, type Shapes } from "./shapes";

export interface Area {
  /** What decides the color, by the classes; or the color itself. */
  value?: number | null;
  color?: string;
  /** What it says when pointed at, after its name. */
  text: string;
  href?: string;
}

export interface Dot {
  id: string;
  lon: number;
  lat: number;
  label: string;
  text: string;
  tone?: string; // a class: good, bad, warn, quiet
  color?: string;
  size?: number;
  href?: string;
}

export interface Arc {
  from: [number, number]; // lon, lat
  to: [number, number];
  width: number;
  text: string;
  tone?: string;
}

interface Props {
  extent?: Extent;
  label: string;
  areas: Map<string, Area>;
  classes?: Classes;
  /** What the legend is about. */
  legend?: string;
  dots?: Dot[];
  arcs?: Arc[];
  name?: (code: string) => string;
}

/**
 * A map with areas in the colors of classes, dots and arcs. What it says is
 * told by pointing; for keyboards and screen readers the same figures are in a
 * table beside it, so that the map is a picture to them.
 */
export function GeoMap({ extent = "world", label, areas, classes: given, legend, dots = [], arcs = [], name }: Props) {
  const shapes = useShapes(extent);
  // The more there is of something, the more it stands out from the page.
  const dark = useTheme() == "dark";
  const classes = given && dark ? { ...given, colors: [...given.colors].reverse() } : given;
  const [told, tell] = useState<{ title: string; text: string }>();
  const tip = useRef<HTMLDivElement>(null);
  const move = (e: PointerEvent) => {
    const box = (e.currentTarget as Element).getBoundingClientRect();
    const t = tip.current;
    if (!t) return;
    const x = e.clientX - box.left;
    t.style.left = `${Math.min(x + 12, Math.max(0, box.width - t.offsetWidth - 4))}px`;
    t.style.top = `${e.clientY - box.top + 14}px`;
  };
  const say = (title: string, text: string) => ({
    onPointerEnter: () => tell({ title, text }),
    onPointerLeave: () => tell(undefined),
  });
  const go = (to?: string) => (to ? { class: "goes", onClick: () => navigate(to) } : {});
  const height = extent == "world" ? 430 / 960 : 610 / 975;
  if (!shapes || shapes instanceof Error)
    return (
      <figure class="map">
        <div class="map-box" role="img" aria-label={label}>
          <svg viewBox={`0 0 960 ${Math.round(960 * height)}`} />
        </div>
        {shapes instanceof Error && <p class="note">The map could not be loaded; its figures are in the table.</p>}
      </figure>
    );
  return (
    <figure class="map">
      <div class="map-box" role="img" aria-label={label} onPointerMove={move}>
        <svg viewBox={`0 0 ${shapes.width} ${shapes.height}`} aria-hidden="true">
          <g class="areas">
            {shapes.areas.map((a) => {
              const v = areas.get(a.code);
              const c = v?.color ?? (classes && v ? classes.colors[classOf(classes, v.value)] : undefined);
              return <path d={a.path} fill={c} {...say(name?.(a.code) || a.name, v?.text ?? "no page views")} {...go(v?.href)} />;
            })}
          </g>
          <path class="borders" d={shapes.borders} />
          {extent == "world" && <SmallPlaces shapes={shapes} areas={areas} classes={classes} say={say} go={go} name={name} />}
          <g class="arcs">
            {arcs.map((a) => (
              <path class={a.tone ?? ""} d={geoPath(shapes.project)({ type: "LineString", coordinates: [a.from, a.to] }) ?? ""} stroke-width={a.width} {...say(a.text, "")} />
            ))}
          </g>
          <Dots shapes={shapes} dots={dots} say={say} go={go} />
        </svg>
        <div ref={tip} class="tip" hidden={!told}>
          <strong>{told?.title}</strong> {told?.text}
        </div>
      </div>
      {classes && <Legend classes={classes} title={legend ?? ""} />}
    </figure>
  );
}

type Say = (title: string, text: string) => object;
type Go = (to?: string) => object;

/** Countries that have no shape at this scale (Singapore) get a dot. */
function SmallPlaces({ shapes, areas, classes, say, go, name }: { shapes: Shapes; areas: Map<string, Area>; classes?: Classes; say: Say; go: Go; name?: (code: string) => string }) {
  const drawn = new Set(shapes.areas.map((a) => a.code));
  return (
    <g class="small">
      {[...areas].map(([code, v]) => {
        const at = drawn.has(code) ? null : shapes.middle(code);
        return at && <circle cx={at[0]} cy={at[1]} r="4" fill={v.color ?? (classes && classes.colors[classOf(classes, v.value)])} {...say(name?.(code) ?? code, v.text)} {...go(v.href)} />;
      })}
    </g>
  );
}

/** PoPs; labels that would lie on one another are left out, the larger first. */
function Dots({ shapes, dots, say, go }: { shapes: Shapes; dots: Dot[]; say: Say; go: Go }) {
  const taken: [number, number, number, number][] = [];
  const at = dots
    .map((d) => ({ d, xy: shapes.at(d.lon, d.lat) }))
    .filter((x): x is { d: Dot; xy: [number, number] } => !!x.xy)
    .sort((a, b) => (b.d.size ?? 5) - (a.d.size ?? 5));
  return (
    <g class="dots">
      {at.map(({ d, xy: [x, y] }) => {
        const r = d.size ?? 5;
        const box: [number, number, number, number] = [x + r, y - 8, x + r + 9 * d.label.length, y + 8];
        const free = !taken.some((t) => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3]);
        if (free) taken.push(box);
        return (
          <g {...say(d.label, d.text)} {...go(d.href)}>
            <circle cx={x} cy={y} r={r} class={d.tone ?? ""} fill={d.color} />
            {free && (
              <text x={x + r + 3} y={y + 4}>
                {d.label}
              </text>
            )}
          </g>
        );
      })}
    </g>
  );
}

function Legend({ classes, title }: { classes: Classes; title: string }) {
  return (
    <figcaption class="legend">
      <span>{title}</span>
      <ul>
        {classes.colors.slice(0, classes.bounds.length + 1).map((c, i) => (
          <li>
            <svg width="14" height="14" aria-hidden="true">
              <rect width="14" height="14" rx="3" fill={c} />
            </svg>{" "}
            {classes.label(i)}
          </li>
        ))}
      </ul>
    </figcaption>
  );
}
