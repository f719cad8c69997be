/** The outlines of the land (Natural Earth, 1:110 million) under a raster, until one is close enough not to need them. */

import type { Coordinate } from 'ol/coordinate'
import Feature from 'ol/Feature'
import GeoJSON from 'ol/format/GeoJSON'
import Polygon from 'ol/geom/Polygon'
import VectorLayer from 'ol/layer/Vector'
import { fromLonLat } from 'ol/proj'
import VectorSource from 'ol/source/Vector'
import { Fill, Stroke, Style } from 'ol/style'
import { feature } from 'topojson-client'
import type { GeometryObject } from 'topojson-specification'
import world from 'world-atlas/land-110m.json'

const NEAREST_ZOOM = 9
const MOST_LAT = 85.05

/** Build the layer; its colours are the page's own and follow its theme. */
export function landLayer(): VectorLayer {
  const land = new GeoJSON().readFeatures(feature(world, world.objects.land as GeometryObject))
  const rings = land
    .flatMap((part) => (part.getGeometry() as Polygon).getCoordinates() as unknown as Coordinate[][][])
    .flat()
  const features = rings.map((ring) => new Feature(new Polygon([unbroken(ring).map((point) => fromLonLat(point))])))
  return new VectorLayer({
    source: new VectorSource({ features }),
    maxZoom: NEAREST_ZOOM,
    className: 'land',
    style: () => {
      const colours = getComputedStyle(document.documentElement)
      return new Style({
        fill: new Fill({ color: colours.getPropertyValue('--land') }),
        stroke: new Stroke({ color: colours.getPropertyValue('--coast'), width: 1 }),
      })
    },
  })
}

/** Let a ring run on across 180 degrees; one around a pole is led along the edge of the map. */
export function unbroken(ring: Coordinate[]): Coordinate[] {
  let turn = 0
  const run = ring.map(([lon = 0, lat = 0], index): [number, number] => {
    const step = lon - (ring[index - 1]?.[0] ?? lon)
    if (Math.abs(step) > 180) turn -= Math.sign(step) * 360
    return [lon + turn, Math.max(-MOST_LAT, Math.min(MOST_LAT, lat))]
  })
  const [first, last] = [run[0], run.at(-1)]
  if (!first || !last || Math.abs(last[0] - first[0]) < 180) return run
  const pole = Math.sign(first[1]) * MOST_LAT
  return [...run, [last[0], pole], [first[0], pole], first]
}
