import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ContactdContainer, baseUrl } from './contactd-container.js'

let container
before(async () => {
  container = await new ContactdContainer().start()
})
after(() => container?.stop())

/** Sends a request as a user who belongs to one test only. */
const call = async (user, method, path, body) => {
  const headers = { Authorization: `Bearer ${user}`, 'Content-Type': 'application/json' }
  return (await fetch(baseUrl(container) + path, { method, headers, body: body && JSON.stringify(body) })).json()
}

test('creates', async () => {
  await call('creates', 'POST', '/me/contacts', { givenName: 'Ann' })
  assert.deepEqual((await call('creates', 'GET', '/me/contacts')).value.map((contact) => contact.givenName), ['Ann'])
})

test('another test does not see it', async () => {
  assert.deepEqual((await call('another', 'GET', '/me/contacts')).value, [])
})
