import { describe, expect, it } from 'vitest'
import { readable, splitWords } from '../src/chat/words'
import { agoWords, areaWords, byteWords, lengthWords, lonLatWords, sentence } from '../src/page/units'

describe('words of an answer', () => {
  it('are cut at their regions, and at nothing else in brackets', () => {
    expect(splitWords('2 ships: [1] [2].', 2)).toEqual(['2 ships: ', 1, ' ', 2, '.'])
    expect(splitWords('see [3] and [0] [x]', 2)).toEqual(['see ', '[3]', ' and ', '[0]', ' [x]'])
    expect(splitWords('', 0)).toEqual([])
  })

  it('can be read while they are written', () => {
    expect(readable('a <ref>ship</ref><box>[[1,2,3')).toBe('a ship ▢')
    expect(readable('a <ref>ship</ref><box>[[1,2,3,4]]</box> there')).toBe('a ship ▢ there')
    expect(readable('a <re')).toBe('a')
    expect(readable('3 < 5 and <b')).toBe('3 < 5 and')
    expect(readable('')).toBe('')
  })
})

describe('quantities', () => {
  it.each([
    [9.96, '10.0 m²'],
    [640, '640 m²'],
    [23456, '2.35 ha'],
    [2_500_000, '2.50 km²'],
  ])('area %d is %s', (m2, words) => expect(areaWords(m2)).toBe(words))

  it.each([
    [12.34, '12.3 m'],
    [1234, '1,234 m'],
    [12345, '12.3 km'],
  ])('length %d is %s', (m, words) => expect(lengthWords(m)).toBe(words))

  it.each([
    [0, '0 B'],
    [1500, '2 kB'],
    [3_400_000, '3.4 MB'],
  ])('%d bytes are %s', (bytes, words) => expect(byteWords(bytes)).toBe(words))

  it('positions and moments', () => {
    expect(lonLatWords(181.5, -4)).toBe('4.00000° S  178.50000° W')
    expect(agoWords(0, 30 * 60_000)).toBe('30 min ago')
    expect(agoWords(0, 5 * 3_600_000)).toBe('5 h ago')
  })
})

it('sentences begin large and end, but file names stay as they are', () => {
  expect(sentence('the window lies outside')).toBe('The window lies outside.')
  expect(sentence('broken.tif cannot be read')).toBe('broken.tif cannot be read.')
  expect(sentence('Why?')).toBe('Why?')
})
