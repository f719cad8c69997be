/** Lengths and areas: geodesics on the WGS84 ellipsoid (Karney, 2013) on the map, pixels in an image without a place. */
import { Geodesic } from 'geographiclib-geodesic'
import type { Coordinate } from 'ol/coordinate'
import { toLonLat } from 'ol/proj'
import { areaWords, countWords, lengthWords } from '../page/units'

/** Measure a path of lon, lat points in metres. */
export function geodesicLength(path: Coordinate[]): number {
  return path.slice(1).reduce((sum, [lon = 0, lat = 0], index) => {
    const [fromLon = 0, fromLat = 0] = path[index] ?? []
    return sum + (Geodesic.WGS84.Inverse(fromLat, fromLon, lat, lon).s12 ?? 0)
  }, 0)
}

/** Measure the area of a ring of lon, lat points in square metres. */
export function geodesicArea(ring: Coordinate[]): number {
  const polygon = Geodesic.WGS84.Polygon(false)
  for (const [lon = 0, lat = 0] of openRing(ring)) polygon.AddPoint(lat, lon)
  return Math.abs(polygon.Compute(false, true).area ?? 0)
}

/** Measure a path in its own units. */
export function planeLength(path: Coordinate[]): number {
  return path.slice(1).reduce((sum, [x = 0, y = 0], index) => {
    const [fromX = 0, fromY = 0] = path[index] ?? []
    return sum + Math.hypot(x - fromX, y - fromY)
  }, 0)
}

/** Measure a ring's area in its own units (the shoelace formula). */
export function planeArea(ring: Coordinate[]): number {
  const points = openRing(ring)
  const doubled = points.reduce((sum, [x = 0, y = 0], index) => {
    const [nextX = 0, nextY = 0] = points[(index + 1) % points.length] ?? []
    return sum + x * nextY - nextX * y
  }, 0)
  return Math.abs(doubled) / 2
}

/** Say how long a path of frame coordinates is. */
export function lengthOf(path: Coordinate[], onMap: boolean): string {
  return onMap
    ? lengthWords(geodesicLength(path.map((point) => toLonLat(point))))
    : `${countWords(planeLength(path))} px`
}

/** Say how large a ring of frame coordinates is. */
export function areaOf(ring: Coordinate[], onMap: boolean): string {
  return onMap ? areaWords(geodesicArea(ring.map((point) => toLonLat(point)))) : `${countWords(planeArea(ring))} px²`
}

function openRing(ring: Coordinate[]): Coordinate[] {
  const [first, last] = [ring[0], ring.at(-1)]
  const closed = ring.length > 1 && first?.[0] === last?.[0] && first?.[1] === last?.[1]
  return closed ? ring.slice(0, -1) : ring
}
