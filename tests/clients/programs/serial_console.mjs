// Every operation of @azure/arm-serialconsole, some of @azure/arm-compute, and a console by `ws`.
// Prints what was seen as JSON. The packages are in NODE_PACKAGES: a script's own folder has none.
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.NODE_PACKAGES, "x.js"));
const { ClientSecretCredential } = require("@azure/identity");
const { MicrosoftSerialConsoleClient } = require("@azure/arm-serialconsole");
const { ComputeManagementClient } = require("@azure/arm-compute");
const WebSocket = require("ws");

const facts = JSON.parse(process.argv[2]);
const scope = `${facts.endpoint}/.default`;

function credentialOf(name) {
  return new ClientSecretCredential(facts.tenant, name, "secret", {
    authorityHost: facts.endpoint,
    disableInstanceDiscovery: true,
  });
}

const options = { endpoint: facts.endpoint, credentialScopes: [scope] };
const credential = credentialOf("app");
const client = new MicrosoftSerialConsoleClient(credential, facts.subscription, options);
const compute = new ComputeManagementClient(credential, facts.subscription, options);

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return [error.statusCode, error.code, error.message];
  }
  throw new Error("it was not refused");
}

async function ports(kind, name) {
  const parent = [facts.group, "Microsoft.Compute", kind, name];
  const seen = {
    list: (await client.serialPorts.list(...parent)).value,
    get: await client.serialPorts.get(...parent, "0"),
    connect: (await client.serialPorts.connect(...parent, "0")).connectionString,
  };
  await client.serialPorts.delete(...parent, "0");
  seen.put = await client.serialPorts.create(...parent, "0", { state: "enabled" });
  return seen;
}

// Open a console as the JavaScript SDK's users do: no Origin, permessage-deflate offered, token in reply.
async function talk(url, { early }) {
  const token = (await credential.getToken(scope)).token;
  const socket = new WebSocket(url, { perMessageDeflate: true });
  const seen = { frames: [], binary: 0, extensions: null, pongs: 0 };
  let typed = false;
  socket.on("pong", () => (seen.pongs += 1));
  const closed = new Promise((resolve, reject) => {
    socket.on("close", (code, reason) => resolve([code, reason.toString()]));
    socket.on("error", reject);
    setTimeout(() => reject(new Error(`no echo: ${JSON.stringify(seen)}`)), 20000).unref();
  });
  socket.on("open", () => {
    seen.extensions = socket.extensions;
    socket.ping();
    if (early) socket.send(token);
  });
  socket.on("message", (data, isBinary) => {
    seen.binary += isBinary ? 1 : 0;
    seen.frames.push(data.toString());
    if (seen.frames.length === 1 && !early) socket.send(token);
    const text = seen.frames.slice(1).join("");
    if (!typed && text.includes("login: ")) {
      typed = true;
      socket.send("r\u00e9");
      socket.send(Buffer.from("\u20acot\r"));
    }
    if (text.endsWith("r\u00e9\u20acot\r")) socket.close(1000);
  });
  seen.closed = await closed;
  return seen;
}

async function power() {
  const seen = [];
  const vms = compute.virtualMachines;
  for (const action of ["beginPowerOffAndWait", "beginStartAndWait", "beginRestartAndWait"]) {
    await vms[action](facts.group, "linux2");
    seen.push((await vms.instanceView(facts.group, "linux2")).statuses[1].displayStatus);
  }
  return seen;
}

async function blobs() {
  const data = await compute.virtualMachines.retrieveBootDiagnosticsData(facts.group, "linux1");
  const screen = await fetch(data.consoleScreenshotBlobUri);
  const log = await fetch(data.serialConsoleLogBlobUri);
  return [screen.status, Buffer.from(await screen.arrayBuffer()).toString("latin1", 0, 2), log.status, await log.text()];
}

const instance = ["virtualMachineScaleSets", "ss1/virtualMachines/1"];
const seen = {
  operations: (await client.listOperations()).value.map((one) => one.name),
  status: await client.getConsoleStatus("default"),
  disable: await client.disableConsole("default"),
  refused: await refusal(() => client.serialPorts.connect(facts.group, "Microsoft.Compute", "virtualMachines", "linux1", "0")),
  enable: await client.enableConsole("default"),
  all: (await client.serialPorts.listBySubscriptions()).value.length,
  vm: await ports("virtualMachines", "linux1"),
  instance: await ports(...instance),
  power: await power(),
  view: (await compute.virtualMachineScaleSetVMs.getInstanceView(facts.group, "ss1", "0")).statuses[1].code,
};
seen.talk = await talk(seen.vm.connect, { early: false });
seen.early = await talk(seen.instance.connect, { early: true });
seen.blobs = await blobs();
process.stdout.write(JSON.stringify(seen));
