/** What was asked and answered about some rasters: plain records that the browser can keep. */
import type { Answer, AskedRegion, Question } from '../server/records'

export interface AskedShape {
  kind: 'box' | 'polygon' | 'point' | 'view'
  said: AskedRegion
  /** The ring in the map's own coordinates, to be drawn again. */
  ring: number[][]
}

export interface Turn {
  id: string
  question: string
  shapes: AskedShape[]
  options: Question['options']
  follow: boolean
  model: string
  state: 'asking' | 'done' | 'failed' | 'stopped'
  text: string
  answer: Answer | null
  problem: string | null
}

export interface Conversation {
  id: string
  changed: number
  rasters: { id: string; name: string }[]
  bands: string | null
  turns: Turn[]
}

/** Begin a conversation about rasters. */
export function newConversation(rasters: { id: string; name: string }[], now: number): Conversation {
  const named = rasters.map(({ id, name }) => ({ id, name }))
  return {
    id: `${now}-${Math.random().toString(36).slice(2, 8)}`,
    changed: now,
    rasters: named,
    bands: null,
    turns: [],
  }
}

/** Name a conversation by its first question. */
export function titleOf(conversation: Conversation): string {
  return conversation.turns[0]?.question ?? 'No question yet'
}
