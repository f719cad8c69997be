import { describe, expect, it } from 'vitest'
import { type Piece, readPieces } from '../src/server/events'
import { refusalOf } from '../src/server/refusal'

function streamOf(pieces: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece)
      controller.close()
    },
  })
}

function chunk(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

async function read(text: string, cut: number): Promise<Piece[]> {
  const bytes = new TextEncoder().encode(text)
  const pieces = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, at) => bytes.slice(at * cut, (at + 1) * cut))
  const found: Piece[] = []
  for await (const piece of readPieces(streamOf(pieces))) found.push(piece)
  return found
}

const SAID =
  chunk({ choices: [{ delta: { content: 'Schön' } }] }) +
  chunk({ choices: [{ delta: {} }], nadir: { words: 'Schön' } }) +
  'data: [DONE]\n\n'

describe('a stream', () => {
  it.each([1, 2, 7, 10_000])('is read alike when it comes in pieces of %d bytes', async (cut) => {
    expect(await read(SAID, cut)).toEqual([{ text: 'Schön' }, { answer: { words: 'Schön' } }])
  })

  it('says so when it breaks off, and when the server gives up', async () => {
    await expect(read(SAID.slice(0, 40), 100)).rejects.toThrow('broke off')
    await expect(read(chunk({ error: { message: 'the answer was stopped' } }), 9)).rejects.toThrow(
      'The answer was stopped.',
    )
  })
})

it('a refusal is the sentence of the server, or says that there is none', () => {
  expect(refusalOf(413, '{"error":{"message":"too large"}}').message).toBe('Too large.')
  expect(refusalOf(502, '<html>').message).toContain('answered 502')
  expect(refusalOf(500, '{}').message).toContain('answered 500')
  expect(refusalOf(401, '{}').needsKey).toBe(true)
})
