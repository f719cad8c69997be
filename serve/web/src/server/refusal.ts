/** A refusal with the server's own sentence; status 0 where no server answered. */
import { sentence } from '../page/units'

export class Refusal extends Error {
  constructor(
    readonly status: number,
    words: string,
  ) {
    super(sentence(words))
  }

  get needsKey(): boolean {
    return this.status === 401
  }
}

export const UNREACHABLE =
  'The server cannot be reached: see that nadir serve runs and that the network is there, then try again.'

/** Read the sentence of a response that refuses. */
export function refusalOf(status: number, body: string): Refusal {
  try {
    const said: unknown = (JSON.parse(body) as { error?: { message?: unknown } }).error?.message
    if (typeof said === 'string' && said) return new Refusal(status, said)
  } catch {
    return new Refusal(status, `the server answered ${status} without saying why: look into its log`)
  }
  return new Refusal(status, `the server answered ${status} without saying why: look into its log`)
}

/** Say in a sentence what went wrong, whatever was thrown. */
export function wordsOf(error: unknown): string {
  if (error instanceof Refusal) return error.message
  return sentence(error instanceof Error ? error.message : String(error))
}
