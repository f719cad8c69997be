/** A raster as a layer: its tiles come through the server object, so that a key goes with each of them. */
import TileLayer from 'ol/layer/Tile'
import ImageTile from 'ol/source/ImageTile'
import type { TileSet } from '../server/records'
import type { Server } from '../server/server'
import { type Frame, TILE_PX } from './frame'

export type RasterLayer = TileLayer<ImageTile>

/** Build the layer of a raster; `failed` hears of tiles that could not be had. */
export function rasterLayer(
  tiles: TileSet,
  frame: Frame,
  server: Server,
  bands: string | null,
  failed: (error: unknown) => void,
): RasterLayer {
  const { grid, extent } = frame.layout(tiles)
  const query = bands ? `?bands=${encodeURIComponent(bands)}` : ''
  const template = tiles.tiles[0] ?? ''
  const source = new ImageTile({
    projection: frame.projection,
    tileGrid: grid,
    wrapX: frame.onMap,
    transition: 120,
    loader: async (z, x, y, { signal }) => {
      const url = template.replace('{z}', `${z}`).replace('{x}', `${x}`).replace('{y}', `${y}`) + query
      try {
        return (await server.tile(url, signal)) ?? emptyTile()
      } catch (error) {
        if (!signal.aborted) failed(error)
        throw error
      }
    },
  })
  return new TileLayer({ source, extent, preload: 1, className: 'rasters' })
}

function emptyTile(): HTMLCanvasElement {
  const canvas = document.createElement('canvas')
  canvas.width = TILE_PX
  canvas.height = TILE_PX
  return canvas
}
