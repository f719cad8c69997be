import { fromLonLat } from 'ol/proj'
import { describe, expect, it } from 'vitest'
import { areaOf, geodesicArea, geodesicLength, lengthOf, planeArea, planeLength } from '../src/map/measure'

describe('geodesics on WGS84', () => {
  it('measures a degree of latitude at the equator and near the pole', () => {
    const from = (lat: number) =>
      geodesicLength([
        [7, lat],
        [7, lat + 1],
      ])
    expect(from(0)).toBeCloseTo(110574.389, 2)
    expect(from(88)).toBeCloseTo(111692.8, 0)
  })

  it('measures JFK to LHR along its published geodesic', () => {
    const path = [
      [-73.8, 40.6],
      [-0.5, 51.6],
    ]
    expect(geodesicLength(path)).toBeCloseTo(5551759.4, 0)
  })

  it('measures a quadrangle whichever way it runs, closed or open, also across 180 degrees', () => {
    const ring = (west: number) => [
      [west, 0],
      [west + 1, 0],
      [west + 1, 1],
      [west, 1],
    ]
    const area = geodesicArea(ring(10))
    expect(area / 12308778361.47).toBeCloseTo(1, 5)
    expect(geodesicArea([...ring(10)].reverse())).toBeCloseTo(area, 0)
    expect(geodesicArea([...ring(10), [10, 0]])).toBeCloseTo(area, 0)
    expect(geodesicArea(ring(179.5))).toBeCloseTo(area, 0)
  })
})

describe('measures in words', () => {
  it('are metres on the map, not Mercator units', () => {
    const path = [
      [10, 60],
      [10.01, 60],
    ].map((point) => fromLonLat(point))
    expect(lengthOf(path, true)).toBe('558 m')
  })

  it('are pixels in an image without a place', () => {
    const ring = [
      [0, 0],
      [30, 0],
      [30, -40],
      [0, -40],
      [0, 0],
    ]
    expect(areaOf(ring, false)).toBe('1,200 px²')
    expect(planeArea(ring)).toBe(1200)
    expect(planeLength(ring)).toBe(140)
  })
})
