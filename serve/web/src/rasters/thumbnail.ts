/** A small picture of a raster: what the tile over its middle shows of it, at its coarsest zoom. */

import { el } from '../page/dom'
import { icon } from '../page/icons'
import type { Raster, TileSet } from '../server/records'
import type { Server } from '../server/server'

const SIDE_PX = 96
const TILE_PX = 256
const LEAST_PX = 16

interface Cut {
  zoom: number
  column: number
  row: number
  /** What the raster covers of the tile: left, top, width, height in its pixels. */
  part: [number, number, number, number]
}

const pictures = new Map<string, Promise<string | null>>()

/** Build the place of the picture; it appears when it is there, and stays a sign when it cannot be had. */
export function thumbnail(raster: Raster, server: Server): HTMLElement {
  const place = el('span', { class: 'thumbnail' }, icon('image'))
  const picture = pictures.get(raster.id) ?? load(raster.id, server)
  pictures.set(raster.id, picture)
  picture.then((url) => {
    if (url) place.replaceChildren(el('img', { src: url, alt: '' }))
  })
  return place
}

async function load(id: string, server: Server): Promise<string | null> {
  try {
    const tiles = await server.tiles(id)
    const { zoom, column, row, part } = cutOf(tiles)
    const template = tiles.tiles[0] ?? ''
    const tile = await server.tile(
      template.replace('{z}', `${zoom}`).replace('{x}', `${column}`).replace('{y}', `${row}`),
    )
    if (!tile) return null
    const [left, top, width, height] = part
    const side = Math.max(LEAST_PX, Math.min(width, height))
    const canvas = el('canvas', { width: SIDE_PX, height: SIDE_PX })
    const [x, y] = [left + (width - side) / 2, top + (height - side) / 2]
    canvas.getContext('2d')?.drawImage(tile, x, y, side, side, 0, 0, SIDE_PX, SIDE_PX)
    return canvas.toDataURL()
  } catch {
    return null
  }
}

/** Choose the tile over the middle of a raster, and the part of it that the raster fills. */
export function cutOf(tiles: TileSet): Cut {
  if (tiles.frame === 'pixels' || !tiles.bounds) {
    const scale = TILE_PX / (TILE_PX * 2 ** tiles.maxzoom)
    const [width, height] = tiles.frame === 'pixels' ? tiles.size.map((side) => side * scale) : [TILE_PX, TILE_PX]
    return { zoom: 0, column: 0, row: 0, part: [0, 0, width ?? TILE_PX, height ?? TILE_PX] }
  }
  const count = 2 ** tiles.minzoom
  const [west, south, east, north] = tiles.bounds
  const [left, right] = [column(west, count), column(east < west ? east + 360 : east, count)]
  const [top, bottom] = [rowOf(north, count), rowOf(south, count)]
  const [x, y] = [Math.floor((left + right) / 2), Math.floor((top + bottom) / 2)]
  const [fromX, toX] = [Math.max(left, x) - x, Math.min(right, x + 1) - x]
  const [fromY, toY] = [Math.max(top, y) - y, Math.min(bottom, y + 1) - y]
  const part = [fromX, fromY, toX - fromX, toY - fromY].map((share) => share * TILE_PX) as Cut['part']
  return { zoom: tiles.minzoom, column: x % count, row: y, part }
}

function column(lon: number, count: number): number {
  return ((lon + 180) / 360) * count
}

function rowOf(lat: number, count: number): number {
  const bounded = Math.max(-85.05, Math.min(85.05, lat)) * (Math.PI / 180)
  return ((1 - Math.asinh(Math.tan(bounded)) / Math.PI) / 2) * count
}
