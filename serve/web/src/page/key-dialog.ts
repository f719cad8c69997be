/** Where a key is given, when the server wants one. */

import { wordsOf } from '../server/refusal'
import type { Server } from '../server/server'
import { find } from './dom'

/** Bind the dialog; `entered` hears when the server has taken a key. Gives what opens it. */
export function bindKeyDialog(server: Server, entered: () => void): () => void {
  const dialog = find<HTMLDialogElement>('#key-dialog')
  const form = find<HTMLFormElement>('form', dialog)
  const key = find<HTMLInputElement>('#key-text')
  const keep = find<HTMLInputElement>('#key-keep')
  const problem = find('#key-problem')
  const open = () => {
    problem.textContent = ''
    if (!dialog.open) dialog.showModal()
    key.focus()
  }
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    server.useKey(key.value.trim() || null, keep.checked)
    try {
      await server.greet()
    } catch (error) {
      problem.textContent = wordsOf(error)
      key.select()
      return
    }
    server.locked.set(false)
    key.value = ''
    dialog.close()
    entered()
  })
  find('#key-forget').addEventListener('click', () => {
    server.useKey(null, false)
    dialog.close()
    location.reload()
  })
  find('#key-button').addEventListener('click', open)
  server.locked.subscribe((locked) => locked && open())
  return open
}
