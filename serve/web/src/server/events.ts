/** Server-sent events of a chat completion: text in pieces, and at last the answer. */
import type { Answer } from './records'
import { Refusal } from './refusal'

export type Piece = { text: string } | { answer: Answer }

interface Chunk {
  error?: { message: string }
  choices?: { delta?: { content?: string } }[]
  nadir?: Answer
}

/** Read the pieces of a stream; a Refusal where it carries an error or breaks off. */
export async function* readPieces(body: ReadableStream<Uint8Array>): AsyncGenerator<Piece> {
  let ended = false
  for await (const data of readEvents(body)) {
    if (data === '[DONE]') {
      ended = true
      break
    }
    const chunk = JSON.parse(data) as Chunk
    if (chunk.error) throw new Refusal(503, chunk.error.message)
    const text = chunk.choices?.[0]?.delta?.content
    if (text) yield { text }
    if (chunk.nadir) yield { answer: chunk.nadir }
  }
  if (!ended) throw new Refusal(0, 'the answer broke off before it was whole: ask again')
}

/** Read the data of each event; events end with an empty line, may be cut anywhere, and count when they are whole. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let held = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      held += decoder.decode(value, { stream: !done })
      const events = held.split(/\r?\n\r?\n/)
      held = events.pop() ?? ''
      for (const event of events) {
        const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'))
        if (lines.length) yield lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n')
      }
      if (done) return
    }
  } finally {
    reader.cancel().catch(() => undefined)
  }
}
