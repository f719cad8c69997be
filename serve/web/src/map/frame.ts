/**
 * Where coordinates live. A raster with a place on the earth is shown in Web Mercator; one without, in its own pixels,
 * with x to the right and y upward from minus the height to 0 (a map library knows no y that points down).
 */
import type { Geometry as GeoJsonGeometry, Polygon as GeoJsonPolygon } from 'geojson'
import { containsExtent, type Extent, extend, getIntersection, isEmpty } from 'ol/extent'
import GeoJSON from 'ol/format/GeoJSON'
import type Geometry from 'ol/geom/Geometry'
import type Polygon from 'ol/geom/Polygon'
import { get as getProjection, Projection, transformExtent } from 'ol/proj'
import { createXYZ } from 'ol/tilegrid'
import TileGrid from 'ol/tilegrid/TileGrid'
import type { AskedRegion, Question, TileSet } from '../server/records'

export const TILE_PX = 256
const MERCATOR = 'EPSG:3857'
const DEGREES = 'EPSG:4326'

export interface Frame {
  readonly onMap: boolean
  readonly projection: Projection
  /** What all rasters of the frame cover. */
  readonly extent: Extent
  /** Give the tile grid of a raster and the part of the frame that it covers. */
  layout(tiles: TileSet): { grid: TileGrid; extent: Extent }
  /** Place a geometry of an answer's GeoJSON. */
  place(geometry: GeoJsonGeometry): Geometry
  /** Say a drawn shape to the server. */
  say(shape: Polygon): AskedRegion
  /** Ask for a part of the frame only; null where it shows nothing of the rasters. */
  view(part: Extent): Question['options'] | null
}

/** Make the frame of one raster or of two dates: that of the first. */
export function frameOf(sets: TileSet[]): Frame {
  const first = sets[0]
  if (!first) throw new Error('a frame needs a raster')
  return first.frame === 'pixels' ? new PixelFrame(sets) : new MapFrame(sets)
}

class MapFrame implements Frame {
  readonly onMap = true
  readonly projection = getProjection(MERCATOR) as Projection
  readonly extent: Extent
  private readonly format = new GeoJSON({ dataProjection: DEGREES, featureProjection: MERCATOR })

  constructor(sets: TileSet[]) {
    this.extent = sets.map((set) => this.cover(set)).reduce((all, one) => extend(all, one))
  }

  layout(tiles: TileSet): { grid: TileGrid; extent: Extent } {
    const grid = createXYZ({ minZoom: tiles.minzoom, maxZoom: tiles.maxzoom, tileSize: TILE_PX })
    return { grid, extent: this.cover(tiles) }
  }

  place(geometry: GeoJsonGeometry): Geometry {
    return this.format.readGeometry(geometry) as Geometry
  }

  say(shape: Polygon): AskedRegion {
    return this.format.writeGeometryObject(shape, { decimals: 9 }) as GeoJsonPolygon
  }

  view(part: Extent): Question['options'] | null {
    const seen = getIntersection(part, this.extent)
    if (isEmpty(seen)) return null
    if (containsExtent(part, this.extent)) return {}
    return { bbox: transformExtent(seen, MERCATOR, DEGREES) as [number, number, number, number] }
  }

  private cover(tiles: TileSet): Extent {
    const world = this.projection.getExtent()
    if (!tiles.bounds) return [...world]
    const [west, south, east, north] = tiles.bounds
    return transformExtent(
      [west, Math.max(south, -85.05), east < west ? east + 360 : east, Math.min(north, 85.05)],
      DEGREES,
      MERCATOR,
    )
  }
}

class PixelFrame implements Frame {
  readonly onMap = false
  readonly projection: Projection
  readonly extent: Extent
  private readonly size: [number, number]

  constructor(sets: TileSet[]) {
    this.size = (sets[0] as TileSet).size
    this.extent = sets.map((set): Extent => [0, -set.size[1], set.size[0], 0]).reduce((all, one) => extend(all, one))
    this.projection = new Projection({ code: 'pixels', units: 'pixels', extent: this.extent })
  }

  layout(tiles: TileSet): { grid: TileGrid; extent: Extent } {
    const [width, height] = tiles.size
    const resolutions = Array.from({ length: tiles.maxzoom + 1 }, (_, zoom) => 2 ** (tiles.maxzoom - zoom))
    const extent = [0, -height, width, 0]
    return { grid: new TileGrid({ extent, origin: [0, 0], resolutions, tileSize: TILE_PX }), extent }
  }

  place(geometry: GeoJsonGeometry): Geometry {
    const placed = new GeoJSON().readGeometry(geometry) as Geometry
    placed.applyTransform((from, to = from, dimension = 2) => {
      for (let at = 0; at < from.length; at += dimension) {
        to[at] = from[at] as number
        to[at + 1] = -(from[at + 1] as number)
      }
      return to
    })
    return placed
  }

  say(shape: Polygon): AskedRegion {
    const ring = (shape.getCoordinates()[0] ?? []).slice(0, -1).map(([x, y]) => [round(x), round(-(y ?? 0))] as const)
    const [xs, ys] = [ring.map(([x]) => x), ring.map(([, y]) => y)]
    const isBox = ring.length === 4 && new Set(xs).size === 2 && new Set(ys).size === 2
    if (isBox) return `box:${Math.min(...xs)},${Math.min(...ys)},${Math.max(...xs)},${Math.max(...ys)}`
    return `polygon:${ring.flat().join(',')}`
  }

  view(part: Extent): Question['options'] | null {
    const [width, height] = this.size
    const [left, bottom, right, top] = getIntersection(part, [0, -height, width, 0]) as [number, number, number, number]
    const [x, y] = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(-top))]
    const [w, h] = [Math.min(width, Math.ceil(right)) - x, Math.min(height, Math.ceil(-bottom)) - y]
    if (!(w > 0 && h > 0)) return null
    return w === width && h === height ? {} : { window: [x, y, w, h] }
  }
}

function round(value = 0): number {
  return Math.round(value * 1000) / 1000 + 0
}
