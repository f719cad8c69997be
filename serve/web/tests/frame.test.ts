import Polygon, { fromExtent } from 'ol/geom/Polygon'
import { describe, expect, it } from 'vitest'
import { frameOf } from '../src/map/frame'
import { unbroken } from '../src/map/land'
import { cutOf } from '../src/rasters/thumbnail'
import type { TileSet } from '../src/server/records'

const PLAIN: TileSet = {
  name: 'a.png',
  tiles: ['/tiles/a/{z}/{x}/{y}.png'],
  minzoom: 0,
  maxzoom: 2,
  bounds: null,
  frame: 'pixels',
  size: [1000, 600],
  renderings: [],
}
const PLACED: TileSet = { ...PLAIN, minzoom: 12, maxzoom: 15, bounds: [10, 50, 10.1, 50.05], frame: 'EPSG:3857' }

describe('an image in its own pixels', () => {
  const frame = frameOf([PLAIN])

  it('has tiles of its own pixels at its finest zoom', () => {
    const { grid, extent } = frame.layout(PLAIN)
    expect(extent).toEqual([0, -600, 1000, 0])
    expect(grid.getResolutions()).toEqual([4, 2, 1])
    expect(grid.getTileCoordForCoordAndZ([300, -300], 2)).toEqual([2, 1, 1])
  })

  it('says a drawn box and a drawn polygon in pixels, and places an answer where it lies', () => {
    expect(frame.say(fromExtent([10, -40, 30, -20]))).toBe('box:10,20,30,40')
    const ring = [
      [0, 0],
      [50, -10.5],
      [20, -30],
      [0, 0],
    ]
    expect(frame.say(new Polygon([ring]))).toBe('polygon:0,0,50,10.5,20,30')
    const pixels = [
      [10, 20],
      [30, 20],
      [30, 40],
      [10, 20],
    ]
    expect(frame.place({ type: 'Polygon', coordinates: [pixels] }).getExtent()).toEqual([10, -40, 30, -20])
  })

  it('asks for a part of itself, or for nothing where all of it is seen or nothing is', () => {
    expect(frame.view([100.4, -300.2, 2000, 50])).toEqual({ window: [100, 0, 900, 301] })
    expect(frame.view([-10, -700, 1100, 10])).toEqual({})
    expect(frame.view([2000, -300, 3000, 0])).toBeNull()
  })
})

describe('an image on the map', () => {
  const frame = frameOf([PLACED])

  it('says a drawn box in degrees and places it back', () => {
    const box = fromExtent(frame.extent)
    const said = frame.say(box)
    if (typeof said === 'string') throw new Error('expected GeoJSON')
    const flat = said.coordinates.flat(2)
    expect(Math.min(...flat)).toBeCloseTo(10, 8)
    expect(Math.max(...flat)).toBeCloseTo(50.05, 8)
    frame
      .place(said)
      .getExtent()
      .forEach((value, index) => {
        expect(value).toBeCloseTo(frame.extent[index] ?? 0, 2)
      })
  })

  it('asks for the part that is seen, cut to the image', () => {
    const [left = 0, bottom = 0, right = 0, top = 0] = frame.extent
    const half = frame.view([left - 1e5, bottom - 1e5, (left + right) / 2, top + 1e5])
    expect(half?.bbox?.map((value) => Number(value.toFixed(6)))).toEqual([10, 50, 10.05, 50.05])
    expect(frame.view([0, 0, 1, 1])).toBeNull()
  })

  it('runs on across 180 degrees', () => {
    const across = frameOf([{ ...PLACED, bounds: [179, -18, -179, -16] }])
    const [left = 0, , right = 0] = across.extent
    expect((right - left) / 20037508.34).toBeCloseTo(2 / 180, 6)
  })
})

it('a thumbnail shows the tile over the middle, and what the image fills of it', () => {
  expect(cutOf(PLAIN)).toEqual({ zoom: 0, column: 0, row: 0, part: [0, 0, 250, 150] })
  const { zoom, column, part } = cutOf(PLACED)
  expect([zoom, column]).toEqual([12, Math.floor((190.05 / 360) * 4096)])
  for (const value of part) expect(value).toBeGreaterThanOrEqual(0)
  for (const value of part) expect(value).toBeLessThanOrEqual(256)
})

it('land across 180 degrees, and around a pole, has no line through the world', () => {
  const across = unbroken([
    [179, 60],
    [-179, 60],
    [-179, 62],
    [179, 60],
  ])
  expect(across.map(([lon]) => lon)).toEqual([179, 181, 181, 179])
  const pole = unbroken([
    [-180, -70],
    [-60, -75],
    [60, -75],
    [180, -70],
  ])
  expect(pole.slice(-3).map(([lon]) => lon)).toEqual([180, -180, -180])
})
