/** The keyboard shortcuts. */

import { Group, Kbd, Modal } from "@mantine/core";

import { placesFor } from "./places";

export default function Keys({ staff, close }: { staff: boolean; close: () => void }) {
  const keys: [string[], string][] = [
    [["Ctrl", "K"], "Go to a page, job, study, experiment or help"],
    [["/"], "Search jobs"],
    [["?"], "Show these keys"],
    ...placesFor(staff).map(({ key, label }): [string[], string] => [["G", key.toUpperCase()], `Go to ${label}`]),
  ];
  return (
    <Modal opened onClose={close} title="Keyboard shortcuts" closeButtonProps={{ "aria-label": "Close" }}>
      <dl className="fields">
        {keys.map(([pressed, action]) => (
          <div key={action}>
            <dt>
              <Group gap={4}>
                {pressed.map((key) => (
                  <Kbd key={key}>{key}</Kbd>
                ))}
              </Group>
            </dt>
            <dd>{action}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
