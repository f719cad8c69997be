/** What the server says, as docs/serving.md describes it. */
import type { FeatureCollection } from 'geojson'

export interface Raster {
  id: string
  name: string
  bytes: number
  created: string
  expires: string
  width: number
  height: number
  driver: string
  dtype: string
  bands: string[]
  crs: string | null
  gsd_m: number | null
  bounds: [number, number, number, number] | null
  advice: string | null
}

export interface TileSet {
  name: string
  tiles: string[]
  minzoom: number
  maxzoom: number
  bounds: [number, number, number, number] | null
  frame: 'EPSG:3857' | 'pixels'
  size: [number, number]
  renderings: { name: string; sentence: string }[]
}

export interface AnswerRegion {
  number: number
  image: number
  phrase: string
  geometry_px: { kind: 'box' | 'obb' | 'polygon' | 'mask'; [field: string]: unknown }
  area_px: number
  lonlat: [number, number] | null
  area_m2: number | null
  length_m: number | null
}

export interface Cost {
  tiles: number
  visual_tokens: number
  prompt_tokens: number
  new_tokens: number
  stage_ms: Record<string, number>
  peak_rss_mb: number
}

export interface TraceStep {
  image: number
  level: number
  window_px: [number, number, number, number]
  rendering: string
  reason: string
}

export interface Answer {
  instruction: string
  task: string | null
  images: string[]
  words: string
  text: string
  bands: string | null
  regions: AnswerRegion[]
  notes: string[]
  issues: { kind: string; text: string; detail: string }[]
  cost: Cost | null
  trace: TraceStep[]
  geojson: FeatureCollection
}

/** A region that a question speaks about: text in pixels, or GeoJSON in degrees. */
export type AskedRegion = string | GeoJSON.Polygon

export interface Question {
  /** Who is asked; the model itself where it is empty. */
  model: string
  words: string
  images: string[]
  before: { role: 'user' | 'assistant'; text: string }[]
  options: {
    task?: string
    bands?: string
    budget?: number
    window?: [number, number, number, number]
    bbox?: [number, number, number, number]
    regions?: AskedRegion[]
  }
}
