// The official JavaScript SDK, unmodified, with contactd over TLS:
//   contactd serve --dev --tls
//   NODE_EXTRA_CA_CERTS=~/.local/share/contactd/dev-ca.pem node recipe.mjs https://127.0.0.1:8080 ann
// `contactd dev-cert` prints the path of the certificate authority. An http address also works, through plain-http.mjs.

import assert from "node:assert/strict";
import { BatchRequestContent, BatchResponseContent, Client, PageIterator } from "@microsoft/microsoft-graph-client";
import { overPlainHttp } from "./plain-http.mjs";

const [server, token] = process.argv.slice(2);
const { protocol, hostname } = new URL(server);

const authProvider = { getAccessToken: async () => token };
const client =
  protocol === "https:"
    ? Client.initWithMiddleware({ authProvider, baseUrl: server, customHosts: new Set([hostname]) })
    : overPlainHttp(server, token);

// Create, read and update.
const created = await client.api("/me/contacts").post({
  givenName: "Ann",
  surname: "Lee",
  emailAddresses: [{ address: "ann@example.org", name: "Ann Lee" }],
  businessPhones: ["+1 732 555 0102"],
  birthday: "1974-07-22",
});
assert.equal(created.displayName, "Ann Lee");
const read = await client.api(`/me/contacts/${created.id}`).get();
assert.deepEqual(read, created);
const changed = await client.api(`/me/contacts/${created.id}`).patch({ jobTitle: "Engineer", businessPhones: [] });
assert.deepEqual([changed.jobTitle, changed.businessPhones, changed.surname], ["Engineer", [], "Lee"]);

// Update only if nobody has changed the contact since it was read.
const stale = client.api(`/me/contacts/${created.id}`).header("If-Match", created["@odata.etag"]);
await assert.rejects(stale.patch({ jobTitle: "x" }), { statusCode: 412, code: "ErrorIrresolvableConflict" });

// Lists and paging.
for (let i = 0; i < 25; i += 1) {
  await client.api("/me/contacts").post({ givenName: `Contact ${String(i).padStart(2, "0")}` });
}
const page = await client.api("/me/contacts").select(["displayName"]).top(5).skip(1).get();
assert.equal(page.value.length, 5);
assert.deepEqual(Object.keys(page.value[0]), ["@odata.etag", "id", "displayName"]);
const filtered = await client
  .api("/me/contacts")
  .filter("startswith(displayName,'contact 0') and not (displayName eq 'Contact 03')")
  .orderby("displayName desc")
  .count(true)
  .top(2)
  .get();
assert.equal(filtered["@odata.count"], 9);
assert.deepEqual(filtered.value.map((contact) => contact.displayName), ["Contact 09", "Contact 08"]);
const byMail = await client.api("/me/contacts").filter("emailAddresses/any(a:a/address eq 'ANN@example.org')").get();
assert.deepEqual(byMail.value.map((contact) => contact.id), [created.id]);
const bySearch = await client.api("/me/contacts").search('"lee ann"').get();
assert.deepEqual(bySearch.value.map((contact) => contact.id), [created.id]);
assert.equal(Number(await client.api("/me/contacts/$count").get()), 26);
const names = [];
const firstPage = await client.api("/me/contacts").top(7).get();
await new PageIterator(client, firstPage, (contact) => names.push(contact.displayName) > 0).iterate();
assert.equal(names.length, 26);
assert.equal(new Set(names).size, 26);

// Delta: the iterator reads one round of changes, and then has the link to the next round.
const readChanges = async (link, contacts = new Map()) => {
  const apply = (entry) => (entry["@removed"] ? contacts.delete(entry.id) : contacts.set(entry.id, entry), true);
  const round = new PageIterator(client, await client.api(link).get(), apply);
  await round.iterate();
  return { contacts, link: round.getDeltaLink() };
};
const copy = await readChanges("/me/contacts/delta");
assert.equal(copy.contacts.size, 26);
await client.api(`/me/contacts/${created.id}`).patch({ jobTitle: "Director" });
const { id: deletedId } = await client.api("/me/contacts").post({ givenName: "Gone" });
await client.api(`/me/contacts/${deletedId}`).delete();
await readChanges(copy.link, copy.contacts);
assert.equal(copy.contacts.size, 26);
assert.equal(copy.contacts.get(created.id).jobTitle, "Director");

// A batch: several calls in one request.
const steps = new BatchRequestContent(
  ["Bo", "Cy"].map((givenName, i) => ({
    id: String(i),
    request: new Request(`${server}/v1.0/me/contacts`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ givenName }),
    }),
  })),
);
steps.addRequest({ id: "list", request: new Request(`${server}/v1.0/me/contacts?$search=bo&$select=displayName`, { method: "GET" }) });
steps.addDependency("1", "0");
steps.addDependency("list", "1");
const responses = new BatchResponseContent(await client.api("/$batch").post(await steps.getContent()));
assert.equal(responses.getResponseById("0").status, 201);
assert.deepEqual((await responses.getResponseById("list").json()).value.map((contact) => contact.displayName), ["Bo"]);

// Folders.
const folder = await client.api("/me/contactFolders").post({ displayName: "Work" });
const contactInFolder = await client.api(`/me/contactFolders/${folder.id}/contacts`).post({ givenName: "Bob" });
assert.equal(contactInFolder.parentFolderId, folder.id);
const folders = await client.api("/me/contactFolders").expand("contacts").get();
assert.deepEqual(folders.value.map((listed) => [listed.displayName, listed.contacts.length]), [["Work", 1]]);
await client.api(`/me/contactFolders/${folder.id}`).patch({ displayName: "Former work" });
await client.api(`/me/contactFolders/${folder.id}`).delete();
await assert.rejects(client.api(`/me/contacts/${contactInFolder.id}`).get(), { statusCode: 404, code: "ErrorItemNotFound" });

// Delete.
await client.api(`/me/contacts/${created.id}`).delete();
await assert.rejects(client.api(`/me/contacts/${created.id}`).get(), { statusCode: 404 });
console.log("the JavaScript recipe is done");
