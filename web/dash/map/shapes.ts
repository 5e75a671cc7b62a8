// Shapes of countries and of the states of the US, made ready once: paths of a
// fixed projection, so that a map is drawn by giving them colors.

import { geoAlbersUsa, geoCentroid, geoEqualEarth, geoPath, type GeoProjection } from "d3-geo";
import type { Feature, GeoJsonProperties, Geometry } from "geojson";
import { useEffect, useState } from "preact/hooks";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { asset } from "../lib/asset";
import { countryOf, middles, stateOf } from "./iso";

export type Extent = "world" | "US";

export interface Shapes {
  width: number;
  height: number;
  areas: { code: string; name: string; path: string }[];
  borders: string;
  /** Where a point is on the map; null: not on it. */
  at: (lon: number, lat: number) => [number, number] | null;
  /** Where an area's middle is. */
  middle: (code: string) => [number, number] | null;
  project: GeoProjection;
}

const loading = new Map<Extent, Promise<Shapes>>();

export function shapes(extent: Extent): Promise<Shapes> {
  let p = loading.get(extent);
  if (!p) {
    p = load(extent);
    p.catch(() => loading.delete(extent));
    loading.set(extent, p);
  }
  return p;
}

async function load(extent: Extent): Promise<Shapes> {
  const response = await fetch(asset(extent == "world" ? "world.json" : "us.json"), { credentials: "same-origin" });
  if (!response.ok) throw new Error(`the map: ${response.status}`);
  const topology = (await response.json()) as Topology;
  return extent == "world" ? world(topology) : states(topology);
}

type Area = Feature<Geometry, GeoJsonProperties>;

export function world(topology: Topology): Shapes {
  const [width, height] = [960, 430];
  const objects = topology.objects["countries"] as GeometryCollection<{ name: string }>;
  objects.geometries = objects.geometries.filter((g) => g.id != "010"); // Antarctica
  const all = feature(topology, objects).features as Area[];
  const project = geoEqualEarth().fitExtent([[4, 4], [width - 4, height - 4]], { type: "FeatureCollection", features: all });
  const path = geoPath(project).digits(1);
  const centers = new Map<string, [number, number]>();
  const areas = all.map((f) => {
    const code = countryOf.get(String(f.id).padStart(3, "0")) ?? "";
    if (code) centers.set(code, middles[code] ?? geoCentroid(f));
    return { code, name: String(f.properties?.["name"] ?? code), path: path(f) ?? "" };
  });
  return {
    width,
    height,
    areas,
    borders: path(mesh(topology, objects, (a, b) => a !== b)) ?? "",
    at: (lon, lat) => project([lon, lat]),
    middle: (code) => {
      const c = centers.get(code) ?? middles[code];
      return c ? project(c) : null;
    },
    project,
  };
}

/** The states come projected (Albers, 975 by 610, Alaska and Hawaii as insets). */
export function states(topology: Topology): Shapes {
  const objects = topology.objects["states"] as GeometryCollection<{ name: string }>;
  const path = geoPath().digits(1);
  const project = geoAlbersUsa().scale(1300).translate([487.5, 305]) as unknown as GeoProjection;
  const centers = new Map<string, [number, number]>();
  const areas = (feature(topology, objects).features as Area[]).map((f) => {
    const code = stateOf.get(String(f.id).padStart(2, "0")) ?? "";
    centers.set(code, path.centroid(f));
    return { code, name: String(f.properties?.["name"] ?? code), path: path(f) ?? "" };
  });
  return {
    width: 975,
    height: 610,
    areas,
    borders: path(mesh(topology, objects, (a, b) => a !== b)) ?? "",
    at: (lon, lat) => project([lon, lat]),
    middle: (code) => centers.get(code) ?? null,
    project,
  };
}

export function useShapes(extent: Extent): Shapes | Error | undefined {
  const [got, set] = useState<{ extent: Extent; is: Shapes | Error }>();
  useEffect(() => {
    let over = false;
    shapes(extent).then(
      (is) => over || set({ extent, is }),
      (e) => over || set({ extent, is: e as Error }),
    );
    return () => void (over = true);
  }, [extent]);
  return got?.extent == extent ? got.is : undefined;
}
